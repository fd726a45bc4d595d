"""Activation checkpointing: what a layer keeps for the backward is dropped and computed again when it is needed.

As in Chen et al. 2016, with one segment per layer.
"""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from normexp.model.buffers import clones, copied_buffers, replaced_buffers
from normexp.model.variant import Context


def recomputed(layer: Callable[[Any], Any], stream: Any, context: Context, counting: Iterable[nn.Module]) -> Any:
    """layer(stream), of which nothing but the stream is kept for the backward; the same numbers, bit for bit.

    context: what the layer reads besides; it is filled again while the layer runs for the second time, during the
    backward. counting: the modules of the layer that have running statistics, which are updated once.
    """
    given, before = dict(vars(context)), copied_buffers(counting)
    ran = False

    def run(stream: Any) -> Any:
        nonlocal ran
        if not ran:
            ran = True
            return layer(stream)
        now = dict(vars(context))
        vars(context).update(given)
        try:
            with replaced_buffers(clones(before)):  # there may be a second backward through the same forward
                return layer(stream)
        finally:
            vars(context).update(now)

    return checkpoint(run, stream, use_reentrant=False)
