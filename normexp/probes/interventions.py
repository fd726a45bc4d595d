"""Layers that are left out or exchanged for a while, under any variant."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from normexp.model.replaced import replaced
from normexp.model.stack import Stack
from normexp.model.variant import Site


@contextmanager
def skipped(stack: Stack, layers: Collection[int]) -> Iterator[None]:
    """Inside the context, the stream goes past these layers, counted from 1, unchanged.

    Where layers add to what the stream holds (a list of outputs, a bank of sources), later ones count on its size: a
    skipped layer then adds what it makes of branches that are 0. The layers are computed all the same, so that dropout
    has the same masks in what follows, and so that what they pass on besides the stream is there, such as values.
    """

    def layer(stream: Any, sites: list[Site]) -> Any:
        after = Stack.layer(stack, stream, sites)
        if sites[0].layer not in layers:
            return after
        if _sizes(after) == _sizes(stream):
            stack.context.capture(f"{sites[-1].name}/stream", stack.variant.main_stream(stream))
            return stream
        with ExitStack() as contexts:
            for site in sites:
                contexts.enter_context(replaced(site, branch=torch.zeros_like))
            return Stack.layer(stack, stream, sites)  # which captures the stream as that of every layer

    with replaced(stack, layer=layer):
        yield


@contextmanager
def cut(stack: Stack, depth: int) -> Iterator[None]:
    """Inside the context, the stack ends after its first `depth` layers.

    The others are computed all the same, so that dropout has the same masks in what follows.
    """

    def layer(stream: Any, sites: list[Site]) -> Any:
        after = Stack.layer(stack, stream, sites)
        return after if sites[0].layer <= depth else stream

    with replaced(stack, layer=layer):
        yield


@contextmanager
def exchanged(stack: Stack, one: int, other: int) -> Iterator[None]:
    """Inside the context, two layers, counted from 1, have each other's weights, by name.

    What only one of them has stays, and so does what belongs to the place: constants of its layer, and what the variant
    owns outside the layers.
    """
    ours, theirs = (stack.layers[f"{layer:02d}"] for layer in (one, other))
    _exchange(ours, theirs)
    try:
        yield
    finally:
        _exchange(ours, theirs)


@torch.no_grad()
def _exchange(one: nn.Module, other: nn.Module) -> None:
    ours, theirs = one.state_dict(), other.state_dict()  # they share the memory of the weights
    done = set()  # a weight that several sites share has several names
    for name, weight in ours.items():
        if name in theirs and theirs[name].shape == weight.shape and weight.data_ptr() not in done:
            done.add(weight.data_ptr())
            kept = weight.clone()
            weight.copy_(theirs[name])
            theirs[name].copy_(kept)


def _sizes(stream: Any) -> Any:
    """The shapes of the tensors that a stream consists of."""
    return stream.shape if isinstance(stream, Tensor) else [_sizes(each) for each in stream]
