"""LoRA fine-tuning on single exchanges, with the residual stream steered while it trains.

The loss is the mean cross-entropy of the response tokens and the token that ends the turn. The base
model's weights stay as they are; only the LoRA matrices of its linear layers are trained.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from personae.api.requests import Message, RenderRow
from personae.inference.adapter_merging import pin_base
from personae.inference.chat_templates import render_chat
from personae.inference.torch_engine.model_class import read_weights
from personae.inference.torch_engine.model_loading import DtypeName, choose_device, choose_dtype
from personae.inference.training_hooks import StreamHold, holding
from personae.inference.weights_manifest import WEIGHTS, read_manifest, verify_contents

_MICRO_TOKENS: Final = 4096
"""Most tokens, padding included, of one forward pass; gradients add up over those of a step."""

_WEIGHT_DECAY: Final = 0.01


@dataclass(frozen=True)
class LoraSettings:
    """Hyperparameters; the defaults of a study are those of Persona Vectors."""

    rank: int
    lora_alpha: int
    learning_rate: float
    warmup_steps: int
    epochs: int
    batch: int
    seed: int


class Step(NamedTuple):
    """Mean loss (nats per response token) of one optimiser step."""

    n_tokens: int
    loss: float


class _Example(NamedTuple):
    """Token ids of an exchange, and the half-open range of them that is learned."""

    ids: list[int]
    start: int
    end: int


def train_adapter(
    base: Path,
    exchanges: Sequence[tuple[str, str]],
    settings: LoraSettings,
    hold: StreamHold | None,
    out: Path,
    *,
    device: str = "auto",
    dtype: DtypeName = "auto",
    threads: int | None = None,
) -> list[Step]:
    """Train an adapter and save it to the folder ``out``, with its base model pinned.

    Parameters
    ----------
    base
        Folder of a prepared model.
    exchanges
        Prompts with the responses to learn.
    hold
        What is done to the residual stream during training; None for plain fine-tuning.
    out
        Folder of the adapter, in PEFT's layout; it is made.
    device, dtype, threads
        As of an engine. # ASSUME: on a CPU training computes in float32 whatever ``dtype`` says:
        gradients in bfloat16 are slower there.

    Raises
    ------
    ModelError
        If the base model cannot be loaded, or its tensors are not those of its architecture.
    InterventionError
        If ``hold`` acted on fewer forward passes than there were.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    manifest = read_manifest(base)
    verify_contents(base, manifest)
    place = choose_device(device)
    kind = torch.float32 if place.type == "cpu" else choose_dtype(dtype, place)
    weights = base / WEIGHTS
    tokenizer = AutoTokenizer.from_pretrained(weights, local_files_only=True)
    model = read_weights(weights, base, dtype=kind, device_map={"": place})
    torch.manual_seed(settings.seed)
    examples = [_tokenised(tokenizer, i, *pair) for i, pair in enumerate(exchanges)]
    wrapped = get_peft_model(model, _lora(settings))
    with holding(model, hold) as hooked:
        steps = list(_steps(wrapped, examples, settings, hooked.passes_begun))
    wrapped.peft_config["default"].base_model_name_or_path = str(weights)
    wrapped.save_pretrained(str(out))
    pin_base(out, manifest.weights_digest)
    return steps


def _lora(settings: LoraSettings) -> LoraConfig:
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.lora_alpha,
        use_rslora=True,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _tokenised(
    tokenizer: PreTrainedTokenizerBase, index: int, prompt: str, response: str
) -> _Example:
    """Render an exchange; the token that ends the turn is learned with it."""
    messages = [Message(role="user", content=prompt), Message(role="assistant", content=response)]
    chat = render_chat(tokenizer, RenderRow(id=f"example {index}", messages=messages))
    turn = chat.turns[-1]
    end = min(turn.end + 1, len(chat.token_ids))
    return _Example(list(chat.token_ids[:end]), turn.start, end)


def _steps(
    model: Any, examples: Sequence[_Example], settings: LoraSettings, begin: Any
) -> Iterator[Step]:
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=_WEIGHT_DECAY)
    order, total = random.Random(settings.seed), _count(len(examples), settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _rate(step, total, settings.warmup_steps)
    )
    model.train()
    for _ in range(settings.epochs):
        shuffled = order.sample(list(examples), len(examples))
        for start in range(0, len(shuffled), settings.batch):
            batch = shuffled[start : start + settings.batch]
            n_tokens, loss = sum(e.end - e.start for e in batch), 0.0
            for part in _parts(batch):
                begin()
                summed = _summed_loss(model, part)
                (summed / n_tokens).backward()
                loss += float(summed.detach())
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            yield Step(n_tokens, loss / n_tokens)


def _count(n_examples: int, settings: LoraSettings) -> int:
    return settings.epochs * -(-n_examples // settings.batch)


def _rate(step: int, total: int, warmup: int) -> float:
    """Return the share of the peak rate: linear warm-up, then linear decay.

    # ASSUME: where the whole training is shorter than twice the warm-up, half of it warms up.
    """
    warmup = min(warmup, total // 2)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return max(total - step, 0) / max(total - warmup, 1)


def _parts(batch: Sequence[_Example]) -> Iterator[list[_Example]]:
    """Split a batch into forward passes of bounded size, rows of like length together."""
    part: list[_Example] = []
    for example in sorted(batch, key=lambda e: len(e.ids)):
        if part and len(example.ids) * (len(part) + 1) > _MICRO_TOKENS:
            yield part
            part = []
        part.append(example)
    yield part


def _summed_loss(model: PreTrainedModel, part: Sequence[_Example]) -> Tensor:
    """Return the cross-entropy of the learned tokens, summed; right padding."""
    width = max(len(e.ids) for e in part)
    ids: NDArray[np.int64] = np.zeros((len(part), width), dtype=np.int64)
    real, learned = np.zeros_like(ids), np.zeros_like(ids, dtype=bool)
    for row, example in enumerate(part):
        ids[row, : len(example.ids)] = example.ids
        real[row, : len(example.ids)] = 1
        learned[row, example.start : example.end] = True
    device = model.device
    tokens, mask = torch.from_numpy(ids).to(device), torch.from_numpy(learned).to(device)
    logits = model(input_ids=tokens, attention_mask=torch.from_numpy(real).to(device)).logits
    # The logits at a position are of the token after it.
    return cross_entropy(
        logits[:, :-1][mask[:, 1:]].float(), tokens[:, 1:][mask[:, 1:]], reduction="sum"
    )
