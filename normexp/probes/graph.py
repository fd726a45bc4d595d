"""The equations that a model computes, obtained by running its own code on symbols.

The stream is replaced by a symbol that records what is done to it; norms return LN(·) and sub-layers return F(·). The
text therefore always agrees with the code, for a user's variant as well.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import nn

from normexp.norms import Norm

BRANCHES = {"attention": "A", "cross_attention": "C", "feed_forward": "FFN"}


class Symbol:
    """A tensor in an equation. text: how it was computed. is_sum: it needs brackets inside a product."""

    def __init__(self, text: str, is_sum: bool = False) -> None:
        self.text, self.is_sum = text, is_sum

    def __add__(self, other: Any) -> "Symbol":
        return Symbol(f"{self.text} + {_text(other)}", is_sum=True)

    def __radd__(self, other: Any) -> "Symbol":
        return self if other is None else Symbol(f"{_text(other)} + {self.text}", is_sum=True)

    def __sub__(self, other: Any) -> "Symbol":
        return Symbol(f"{self.text} − {_factor(other)}", is_sum=True)

    def __mul__(self, other: Any) -> "Symbol":
        return Symbol(f"{_factor(other)}·{_factor(self)}")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Symbol":
        return Symbol(f"{_factor(self)}/{_factor(other)}")

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> "Symbol":
        """Write arithmetic as arithmetic, and any other torch function as its name with its arguments in brackets."""
        name = function.__name__.strip("_")
        operator = getattr(cls, f"__{name}__", None)
        if operator is not None and len(args) == 2:
            left, right = args
            if isinstance(left, Symbol):
                return operator(left, right)
            reflected = {"add": cls.__radd__, "mul": cls.__rmul__}.get(name)
            if reflected:
                return reflected(right, left)
        inner = ", ".join(_text(a) for a in args if isinstance(a, Symbol | torch.Tensor | list | tuple))
        return Symbol(f"{name}({inner})")


@dataclass(frozen=True)
class Part:
    """The equations, one per line, of some layers of a stack, or of its start or end."""

    stack: str
    where: str  # opens, layer 1, layers 2–6, closes
    lines: tuple[str, ...]


def graph(model: nn.Module) -> list[Part]:
    """The equations of every stack: its start, its layers (equal neighbours written once), and its end.

    In a layer, x is its input, hₖ the stream after its k-th site, and x ← its output.
    """
    parts: list[Part] = []
    with symbolic(model):
        for stack in model.stacks:  # type: ignore[union-attr]
            variant, name = stack.variant, stack.shape.stack
            stream = variant.start_stream(Symbol("embedding"))
            if _text(stream) != "embedding":
                parts.append(Part(name, "opens", (f"x = {_text(stream)}",)))
            layers = []
            for sites in stack.sites_by_layer:
                stream, lines = _layer(variant, _named("x", stream), sites)
                layers.append((*lines, *_inside(sites)))
            parts += _merged(name, layers)
            parts.append(Part(name, "closes", (f"output = {_text(variant.finish_stream(_named('x', stream)))}",)))
    return parts


def _layer(variant: Any, stream: Any, sites: list[Any]) -> tuple[Any, list[str]]:
    """Run one layer on symbols: its output, and its equations with one line per call of `join`."""
    lines: list[str] = []
    join = type(variant).join

    def recorded(x: Any, site: Any) -> Any:
        if not all(map(str.isalnum, _text(x).split(", "))):
            lines.append(f"y = {_text(x)}")
            x = _named("y", x)
        after = join(variant, x, site)
        name = f"h{_SUBSCRIPTS[sites.index(site) + 1]}"
        lines.append(f"{name} = {_text(after)}")
        return _named(name, after)

    variant.join = recorded
    try:
        out = variant.layer(stream, sites)
    finally:
        del variant.join
    last_name, _, last_line = lines[-1].partition(" = ") if lines else ("", "", "")
    if lines and _text(out) == _text(_named(last_name, out)):
        lines[-1] = f"x ← {last_line}"
    else:
        lines.append(f"x ← {_text(out)}")
    return out, lines


def _named(name: str, stream: Any) -> Any:
    """The same structure with new names for its parts, so that equations do not grow from layer to layer."""
    if isinstance(stream, list | tuple):
        return type(stream)([Symbol(f"{name}{_SUBSCRIPTS[i % 10]}") for i, _ in enumerate(stream)])
    return Symbol(name)


_SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉"


def _inside(sites: list[Any]) -> Iterator[str]:
    """What is inside the branches: persistent vectors, then the modules of the variant, slot by slot."""
    for site in sites:
        if count := getattr(site.sublayer, "persistent", 0):
            yield f"inside {BRANCHES[site.kind]}: {count} persistent keys and values per head beside the tokens'"
        for slot, module in site.sublayer.inside.items():
            what = module.symbol if isinstance(module, Norm) else type(module).__name__
            yield f"inside {BRANCHES[site.kind]}: {what} at {slot}"


def _merged(stack: str, layers: list[tuple[str, ...]]) -> Iterator[Part]:
    number = 1
    for lines, same in groupby(layers):
        last = number + len(list(same)) - 1
        yield Part(stack, f"layer {number}" if number == last else f"layers {number}–{last}", lines)
        number = last + 1


@contextmanager
def symbolic(model: nn.Module) -> Iterator[None]:
    """Make the norms and sub-layers of a model return symbols, and write parameters by their names."""
    with ExitStack() as undo:
        for module in model.modules():
            if isinstance(module, Norm):
                _answer(undo, module, lambda x, s=module.symbol: Symbol(f"{s}({_text(x)})" if s else _text(x)))
            elif hasattr(module, "sublayer"):
                letter = BRANCHES[str(module.kind)]
                memory = ", memory" if module.kind == "cross_attention" else ""
                _answer(undo, module.sublayer, lambda x, *_, f=letter, m=memory: Symbol(f"{f}({_text(x)}{m})"))
            elif isinstance(module, nn.Dropout):
                _answer(undo, module, lambda x: x)
        _NAMES.update({id(p): _short(name) for name, p in model.named_parameters()})
        undo.callback(_NAMES.clear)
        yield


_NAMES: dict[int, str] = {}


def _short(name: str) -> str:
    """The last part of a parameter's name, which the variant chose."""
    return re.sub(r".*\.", "", name)


def _answer(undo: ExitStack, module: Any, forward: Callable[..., Any]) -> None:
    module.forward = forward
    undo.callback(lambda: module.__dict__.pop("forward"))


def _text(value: Any) -> str:
    if isinstance(value, Symbol):
        return value.text
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, torch.Tensor):
        owner = value if value._base is None else value._base  # a slice of a parameter is written by its name
        if id(owner) in _NAMES:
            return _NAMES[id(owner)]
        return f"{value.item():.4g}" if value.numel() == 1 else "c"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _factor(value: Any) -> str:
    text = _text(value)
    return f"({text})" if isinstance(value, Symbol) and value.is_sum else text
