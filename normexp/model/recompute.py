"""Activation checkpointing: what a layer keeps for the backward is dropped and computed again when it is needed.

Chen et al. 2016, https://arxiv.org/abs/1604.06174, with one segment per layer.
"""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from normexp.model.buffers import copied_buffers, unchanged_buffers
from normexp.model.variant import Context


def recomputed(layer: Callable[[Any], Any], stream: Any, context: Context, modules: nn.Module) -> Any:
    """layer(stream), of which nothing but the stream is kept for the backward; the same numbers, bit for bit.

    context: what the layer reads besides; it is filled again while the layer runs for the second time, during the
    backward. modules: those of the layer; their running statistics are updated once.
    """
    given, before = dict(vars(context)), copied_buffers(modules)
    ran = False

    def run(stream: Any) -> Any:
        nonlocal ran
        if not ran:
            ran = True
            return layer(stream)
        now = dict(vars(context))
        vars(context).update(given)
        try:
            with unchanged_buffers(modules, before):
                return layer(stream)
        finally:
            vars(context).update(now)

    return checkpoint(run, stream, use_reentrant=False)
