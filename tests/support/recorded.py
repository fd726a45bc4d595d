"""Tensors that remember how they were made, for tests of the graph of a running model.

Independent of normexp.probes.graph, which writes equations of symbols: here numbers flow, and the result is paths.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from normexp.model.variant import Context
from normexp.norms import Norm

NORMS = {"LayerNorm": "norm", "RMSNorm": "rms"}
WORDS = {"mul": "scale", "div": "scale", "truediv": "scale", "einsum": "mix", "matmul": "mix"}
SILENT = ("flatten", "unflatten", "transpose")  # these only move entries


class Recorded(Tensor):
    """A tensor with the word for what made it, and with what it was made from."""

    word = ""
    parents: tuple["Recorded", ...] = ()
    keys_from: Tensor | None = None  # of a branch's output: what its key matrix read

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = super().__torch_function__(function, types, args, kwargs or {})
        parents = recorded(args)
        if isinstance(out, Recorded) and not is_one_of(out, parents):  # dropout returns its input
            name = function.__name__.strip("_").removeprefix("r")
            sum_or_shift = "sum" if len(parents) > 1 else "shift"
            out.word = "" if name in SILENT else sum_or_shift if name == "add" else WORDS.get(name, name)
            out.parents = tuple(parents)
        return out


def recorded(value: Any) -> list[Recorded]:
    """The recorded tensors in arguments or in a stream, in their order."""
    if isinstance(value, list | tuple):
        return [leaf for each in value for leaf in recorded(each)]
    return [value] if isinstance(value, Recorded) else []


def is_one_of(node: Tensor, nodes: Sequence[Tensor]) -> bool:
    """By identity: == would compare numbers."""
    return any(node is each for each in nodes)


def made(value: Tensor, word: str = "", *parents: Recorded) -> Recorded:
    node = value.detach().as_subclass(Recorded)
    node.word, node.parents = word, parents
    return node


def changed(stream: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A stream of the same kind with every tensor changed."""
    return type(stream)(changed(x, change) for x in stream) if isinstance(stream, list | tuple) else change(stream)


def paths(node: Recorded, starts: Sequence[Recorded]) -> list[list[Recorded]]:
    """Every way from one of the starts to the node, both included."""
    if is_one_of(node, starts):
        return [[node]]
    return [[*path, node] for parent in node.parents for path in paths(parent, starts)]


def joined_words(ways: list[list[Recorded]], origin: Callable[[Recorded], str] = lambda _: "") -> str:
    """The words of every way except its start, each once, the shortest first; `origin` names a start."""
    texts = {origin(way[0]) + (" ".join(node.word for node in way[1:] if node.word) or "nothing") for way in ways}
    return ", ".join(sorted(texts, key=lambda text: (len(text), text))) or "none"


def branches(way: Sequence[Recorded]) -> list[Recorded]:
    """The sub-layers that a way leads through."""
    return [node for node in way[1:] if node.word.startswith("F")]


# -- a model that runs on them ----------------------------------------------------------------------------------------


@contextmanager
def answering(forwards: dict[nn.Module, Callable]) -> Iterator[None]:
    """These modules compute something else while this is open."""
    for module, forward in forwards.items():
        module.forward = forward
    try:
        yield
    finally:
        for module in forwards:
            del module.forward


@contextmanager
def watched(model: Any) -> Iterator[None]:
    """Norms and sub-layers are one node each: `norm`, `F`, or `F[fc1 norm fc2]` where more than matrices is inside."""
    called: list[tuple[str, Tensor]] = []

    def norm(module: nn.Module) -> Callable:
        def forward(x: Tensor) -> Tensor:
            y = type(module).forward(module, x.as_subclass(Tensor))
            return made(y, word_of(module), x) if isinstance(x, Recorded) else y

        return forward

    def sublayer(module: Any) -> Callable:
        def forward(x: Recorded, context: Context, _: Any = None) -> Recorded:
            called.clear()
            y = type(module).forward(module, x.as_subclass(Tensor), context)
            node = made(y, f"F[{' '.join(name for name, _ in called)}]" if module.inside else "F", x)
            node.keys_from = dict(called).get("key")
            return node

        return forward

    def noted(name: str) -> Callable:
        return lambda module, inputs, output: called.append((name, inputs[0]))

    norms = {module: norm(module) for module in model.modules() if isinstance(module, Norm)}
    sublayers = [site.sublayer for stack in model.stacks for site in stack.sites]
    with answering(norms | {each: sublayer(each) for each in sublayers}), ExitStack() as hooks, torch.no_grad():
        for each in sublayers:
            matrices = [(name, module) for name, module in each.named_children() if isinstance(module, nn.Linear)]
            for name, module in [*matrices, *((word_of(module), module) for module in each.inside.values())]:
                hooks.callback(module.register_forward_hook(noted(name)).remove)
        yield


def word_of(module: nn.Module) -> str:
    return NORMS.get(type(module).__name__, type(module).__name__.lower())
