"""Linear layers whose weights are stored in the order that a CPU's matrix kernels read.

torch passes a plain weight to oneDNN at every call, and oneDNN rearranges it into blocks each time;
with one token per row that takes as long as the product itself. Packing does it once. The products
are oneDNN's in both cases.
"""

from __future__ import annotations

import logging
import os

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

# Packed weights are a second copy: pack only if it takes at most this share of the memory.
_MEMORY_SHARE = 0.25
# oneDNN chooses the order for about this many rows; the choice is the same from 1 to 1024.
_ROWS = 64

logger = logging.getLogger(__name__)


class PackedLinear(nn.Linear):
    """A linear layer with a packed copy of its weight, for inference.

    ``weight`` is kept, since it may be tied or read; it must not change after `pack`.
    """

    _packed: Tensor

    def pack(self) -> None:
        """Make the packed copy."""
        self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach(), _ROWS)

    def forward(self, input: Tensor) -> Tensor:
        """Multiply with the packed weight, or with the plain one if gradients are enabled."""
        if torch.is_grad_enabled():
            return super().forward(input)
        output: Tensor = torch.ops.mkldnn._linear_pointwise(
            input, self._packed, self.bias, "none", [], ""
        )
        return output


def pack_linears(model: PreTrainedModel) -> int:
    """Pack the linear layers of a model that is entirely on the CPU; return their number.

    A model with a device map is not packed, since accelerate moves its weights, nor is one whose
    products are as fast without packing (see `_gains`).
    """
    linears = [module for module in model.modules() if type(module) is nn.Linear]
    if not linears or not _can_pack(model, linears):
        return 0
    for linear in linears:
        linear.__class__ = PackedLinear
        assert isinstance(linear, PackedLinear)
        linear.pack()
    return len(linears)


def _can_pack(model: PreTrainedModel, linears: list[nn.Linear]) -> bool:
    """Return whether there are kernels for the weights, all on the CPU, and enough memory."""
    on_cpu = all(linear.weight.device.type == "cpu" for linear in linears)
    [dtype, *others] = {linear.weight.dtype for linear in linears}
    if not on_cpu or others or not _gains(dtype):
        return False
    if len(getattr(model, "hf_device_map", None) or "1") > 1:
        return False
    needed = sum(linear.weight.nbytes for linear in linears)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > _MEMORY_SHARE * memory:
        logger.info("weights of %.1f GB stay unpacked: a second copy does not fit", needed / 1e9)
        return False
    return True


def _gains(dtype: torch.dtype) -> bool:
    """Return whether this CPU has oneDNN kernels for ``dtype`` that packing makes faster."""
    if not torch.backends.mkldnn.is_available():
        return False
    if dtype == torch.float32:
        # With AVX-512, torch's own product, by MKL, is as fast.
        return torch.backends.cpu.get_cpu_capability() == "AVX2"
    return dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
