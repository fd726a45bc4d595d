"""What modules know besides weights (running statistics), kept as it was while something else runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

Buffers = Mapping[nn.Module, Mapping[str, Tensor | None]]


def copied_buffers(model: nn.Module) -> Buffers:
    """Copies of the buffers of every module that has some."""
    return {
        module: {name: None if each is None else each.clone() for name, each in module._buffers.items()}
        for module in model.modules()
        if module._buffers
    }


@contextmanager
def unchanged_buffers(model: nn.Module, start: Buffers | None = None) -> Iterator[None]:
    """Discard what a forward or backward in training mode writes into the model's buffers.

    The block works on copies, because the graph of its forward may still need the values that it wrote.
    start: what they hold at its beginning; None: what they hold now.
    """
    inside = copied_buffers(model) if start is None else start
    saved = {module: dict(module._buffers) for module in inside}
    try:
        for module, buffers in inside.items():
            module._buffers.update(buffers)
        yield
    finally:
        for module, kept in saved.items():
            module._buffers.update(kept)
