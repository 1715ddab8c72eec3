"""Baselines: the usual ways to do the same work with transformers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel

from personae.inference.torch_engine.decoder_blocks import find_blocks
from personae.tools.bench.workload import TEMPERATURE, TOP_P


@dataclass(frozen=True)
class PlainModel:
    """A model as ``from_pretrained`` returns it; no response ends before its token budget."""

    model: PreTrainedModel
    device: torch.device

    def __post_init__(self) -> None:
        self.model.generation_config = GenerationConfig(pad_token_id=0)

    @torch.inference_mode()
    def generate(self, prompts: Sequence[list[int]], tokens: int) -> int:
        """Sample ``tokens`` new tokens a prompt in one batch; padding is left; return how many."""
        longest = max(map(len, prompts))
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        model: Any = self.model
        output = model.generate(
            ids.to(self.device),
            attention_mask=mask.to(self.device),
            do_sample=True,
            temperature=TEMPERATURE,
            top_p=TOP_P,
            top_k=0,
            max_new_tokens=tokens,
        )
        assert output.shape[1] == longest + tokens, "a response ended early"
        return len(prompts) * tokens

    def generate_static(
        self, prompts: Sequence[list[int]], budgets: Sequence[int], size: int = 32
    ) -> int:
        """Sample in batches of ``size``, each as long as its longest; return tokens asked for."""
        for first in range(0, len(prompts), size):
            some = slice(first, first + size)
            self.generate(prompts[some], max(budgets[some]))
        return sum(budgets)

    def generate_hooked(
        self,
        prompts: Sequence[list[int]],
        tokens: int,
        layer: int,
        vector: NDArray[np.float32],
        coefficient: float,
    ) -> int:
        """Sample with one hook that adds ``coefficient * vector`` to every response token."""
        move = (coefficient * torch.from_numpy(vector)).to(self.device, self.model.dtype)

        def add(module: nn.Module, args: Any, output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            if hidden.shape[1] > 1:  # the prompt
                return output
            moved = hidden + move
            return (moved, *output[1:]) if isinstance(output, tuple) else moved

        handle = find_blocks(self.model)[layer].register_forward_hook(add)
        try:
            return self.generate(prompts, tokens)
        finally:
            handle.remove()

    @torch.inference_mode()
    def forward(self, rows: int, width: int, *, head: bool) -> int:
        """Run one forward pass of full rows, without padding; return how many tokens it had."""
        ids = torch.randint(256, (rows, width), device=self.device)
        model = self.model if head else self.model.get_decoder()
        model(input_ids=ids, use_cache=False)
        return rows * width

    @torch.inference_mode()
    def hidden_states(self, rows: Sequence[tuple[list[int], int]]) -> int:
        """Keep span means the usual way: row by row, all hidden states, the whole model."""
        for ids, start in rows:
            output = self.model(
                input_ids=torch.tensor([ids], device=self.device), output_hidden_states=True
            )
            means = [state[0, start:].float().mean(0) for state in output.hidden_states[1:]]
            torch.stack(means).cpu().numpy()
        return sum(len(ids) for ids, _ in rows)

    @torch.inference_mode()
    def score(self, pairs: Sequence[tuple[list[int], list[int]]]) -> int:
        """Score one response after one prompt at a time; return how many pairs."""
        for prompt, answer in pairs:
            ids = torch.tensor([prompt + answer], device=self.device)
            logits: Tensor = self.model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
            picked = logits.float().log_softmax(-1).gather(1, ids[0, len(prompt) :, None])
            float(picked.sum())
        return len(pairs)
