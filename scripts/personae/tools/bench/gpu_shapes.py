"""Shapes of the papers' models, with random weights, for benchmarks without a network."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final, NamedTuple

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedConfig, PreTrainedTokenizerFast

from personae.inference.weights_manifest import (
    MANIFEST,
    WEIGHTS,
    Manifest,
    file_digests,
    file_sizes,
)


class BenchShape(NamedTuple):
    """A model's configuration class and sizes, the GPUs that it takes, and the rows to run."""

    config: str
    sizes: dict[str, Any]
    gpus: int
    rows: tuple[int, ...]
    new_tokens: int


def _sizes(
    vocabulary: int, hidden: int, inner: int, layers: int, heads: int, groups: int, head: int
) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "head_dim": head,
        "max_position_embeddings": 4096,
        "bos_token_id": 256,
        "eos_token_id": 257,
        "pad_token_id": 257,
    }


SHAPES: Final = {
    "tiny": BenchShape("LlamaConfig", _sizes(512, 64, 128, 4, 2, 1, 32), 1, (4, 8), 8),
    "qwen3_8b": BenchShape(
        "Qwen3Config", _sizes(151936, 4096, 12288, 36, 32, 8, 128), 1, (64, 256), 128
    ),
    "gemma2_27b": BenchShape(
        "Gemma2Config", _sizes(256000, 4608, 36864, 46, 32, 16, 128), 1, (64, 192), 128
    ),
    "llama33_70b": BenchShape(
        "LlamaConfig", _sizes(128256, 8192, 28672, 80, 64, 8, 128), 2, (64, 256), 128
    ),
}
_TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "


def shape_config(shape: BenchShape) -> PreTrainedConfig:
    """Return the model's configuration."""
    config: PreTrainedConfig = getattr(transformers, shape.config)(**shape.sizes)
    config.architectures = [shape.config.removesuffix("Config") + "ForCausalLM"]
    return config


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of single bytes with a plain chat template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    tokenizer.chat_template = _TEMPLATE
    return tokenizer


def write_shape(shape: BenchShape, folder: Path) -> None:
    """Write a prepared model without weights: vLLM draws random ones when it loads it."""
    config, weights = shape_config(shape), folder / WEIGHTS
    config.save_pretrained(weights)
    byte_tokenizer().save_pretrained(weights)
    manifest = Manifest(
        name="bench",
        kind="chat",
        source="folder",
        id="random",
        revision="",
        license="none",
        model_type=config.model_type,
        n_layers=shape.sizes["num_hidden_layers"],
        hidden_size=shape.sizes["hidden_size"],
        weights_digest=hashlib.sha256(b"random").hexdigest(),
        sizes=file_sizes(weights),
        digests=file_digests(weights),
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
