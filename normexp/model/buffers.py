"""What modules know besides weights (running statistics), kept as it was while something else runs."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from torch import Tensor, nn

Buffers = Mapping[nn.Module, Mapping[str, Tensor | None]]


def with_buffers(model: nn.Module) -> list[nn.Module]:
    """The modules of a model that have some."""
    return [module for module in model.modules() if module._buffers]


def copied_buffers(modules: Iterable[nn.Module]) -> Buffers:
    """Copies of the buffers of every module."""
    return clones({module: module._buffers for module in modules})


def clones(buffers: Buffers) -> Buffers:
    return {
        module: {name: None if each is None else each.clone() for name, each in its.items()}
        for module, its in buffers.items()
    }


@contextmanager
def replaced_buffers(inside: Buffers) -> Iterator[None]:
    """Let modules work on these buffers in place of theirs, and discard what is written into them.

    The graph of a forward may still need the values that it wrote, so nothing is copied back.
    """
    saved = {module: dict(module._buffers) for module in inside}
    try:
        for module, buffers in inside.items():
            module._buffers.update(buffers)
        yield
    finally:
        for module, kept in saved.items():
            module._buffers.update(kept)


def unchanged_buffers(model: nn.Module) -> AbstractContextManager[None]:
    """Discard what a forward or backward in training mode writes into the model's buffers."""
    return replaced_buffers(copied_buffers(with_buffers(model)))
