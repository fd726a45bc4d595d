"""The graph that a model really computes, written as equations: its own code, run on symbols.

The stream is replaced by a symbol that writes down what is done to it; norms return LN(·) and sub-layers F(·). So the
text cannot disagree with the code, and it holds for variants that this package does not know.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import nn

from normexp.model.replaced import replaced
from normexp.norms import Norm

BRANCHES = {"attention": "A", "cross_attention": "C", "feed_forward": "FFN"}


class Symbol:
    """A tensor of the equation: `text` is how it was made; a sum needs brackets inside a product.

    tracer: writes what it is combined with.
    """

    def __init__(self, tracer: "Tracer", text: str, is_sum: bool = False) -> None:
        self.tracer, self.text, self.is_sum = tracer, text, is_sum

    def __add__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.text} + {self.tracer.text(other)}", is_sum=True)

    def __radd__(self, other: Any) -> "Symbol":
        return self if other is None else self.tracer.symbol(f"{self.tracer.text(other)} + {self.text}", is_sum=True)

    def __sub__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.text} − {self.tracer.factor(other)}", is_sum=True)

    def __mul__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.tracer.factor(other)}·{self.tracer.factor(self)}")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.tracer.factor(self)}/{self.tracer.factor(other)}")

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
        tracer = next(_symbols(args)).tracer
        inner = ", ".join(tracer.text(a) for a in args if isinstance(a, Symbol | torch.Tensor | list | tuple))
        return tracer.symbol(f"{name}({inner})")


def _symbols(value: Any) -> Iterator[Symbol]:
    if isinstance(value, Symbol):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _symbols(each)


class Tracer:
    """Runs a model on symbols and writes tensors as text; parameters go by the names that the variant gave them."""

    def __init__(self, model: nn.Module) -> None:
        self.names = {id(p): re.sub(r".*\.", "", name) for name, p in model.named_parameters()}

    def symbol(self, text: str, is_sum: bool = False) -> Symbol:
        return Symbol(self, text, is_sum)

    def text(self, value: Any) -> str:
        if isinstance(value, Symbol):
            return value.text
        if isinstance(value, list | tuple):
            return ", ".join(map(self.text, value))
        if isinstance(value, torch.Tensor):
            owner = value if value._base is None else value._base  # a slice of a parameter goes by its name
            if id(owner) in self.names:
                return self.names[id(owner)]
            return f"{value.item():.4g}" if value.numel() == 1 else "c"
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    def factor(self, value: Any) -> str:
        """The text of a factor in a product."""
        text = self.text(value)
        return f"({text})" if isinstance(value, Symbol) and value.is_sum else text

    def named(self, name: str, stream: Any) -> Any:
        """The same structure with fresh names for its parts, so that equations do not grow from layer to layer."""
        if isinstance(stream, list | tuple):
            return type(stream)([self.symbol(f"{name}{_SUBSCRIPTS[i % 10]}") for i, _ in enumerate(stream)])
        return self.symbol(name)

    @contextmanager
    def symbolic(self, model: nn.Module) -> Iterator[None]:
        """Inside the context, norms, sub-layers and dropout of the model take and return symbols."""
        with ExitStack() as contexts:
            for module in model.modules():
                if isinstance(module, Norm):
                    contexts.enter_context(replaced(module, forward=self._norm(module.symbol)))
                elif hasattr(module, "sublayer"):
                    sublayer: Any = module.sublayer
                    contexts.enter_context(replaced(sublayer, forward=self._branch(str(module.kind))))
                elif isinstance(module, nn.Dropout):
                    contexts.enter_context(replaced(module, forward=lambda x: x))
            yield

    def _norm(self, symbol: str) -> Callable[..., Any]:
        return lambda x: self.symbol(f"{symbol}({self.text(x)})" if symbol else self.text(x))

    def _branch(self, kind: str) -> Callable[..., Any]:
        memory = ", memory" if kind == "cross_attention" else ""
        return lambda x, *_: self.symbol(f"{BRANCHES[kind]}({self.text(x)}{memory})")


@dataclass(frozen=True)
class Part:
    """What some layers of a stack do, or what opens or closes it, as one equation per line."""

    stack: str
    where: str  # opens, layer 1, layers 2–6, closes
    lines: tuple[str, ...]


def graph(model: nn.Module) -> list[Part]:
    """The equations of every stack: what opens it, its layers (equal neighbours merged), what closes it.

    In a layer, x is its input, hₖ the stream after its k-th site, and x ← its output.
    """
    parts: list[Part] = []
    tracer = Tracer(model)
    with tracer.symbolic(model):
        for stack in model.stacks:  # type: ignore[union-attr]
            variant, name = stack.variant, stack.shape.stack
            stream = variant.start_stream(tracer.symbol("embedding"))
            if tracer.text(stream) != "embedding":
                parts.append(Part(name, "opens", (f"x = {tracer.text(stream)}",)))
            layers = []
            for sites in stack.sites_by_layer:
                stream, lines = _layer(tracer, variant, tracer.named("x", stream), sites)
                layers.append((*lines, *_inside(sites)))
            parts += _merged(name, layers)
            output = variant.finish_stream(tracer.named("x", stream))
            parts.append(Part(name, "closes", (f"output = {tracer.text(output)}",)))
    return parts


def written(model: nn.Module) -> list[str]:
    """The graph as lines of text: where, then its equations, indented."""
    return [line for part in graph(model) for line in (f"{part.stack} {part.where}", *(f"  {it}" for it in part.lines))]


def _layer(tracer: Tracer, variant: Any, stream: Any, sites: list[Any]) -> tuple[Any, list[str]]:
    """One layer on symbols: its output and its equations, one line for every site that `join` joins."""
    lines: list[str] = []
    join = type(variant).join

    def recorded(x: Any, site: Any) -> Any:
        if not all(map(str.isalnum, tracer.text(x).split(", "))):
            lines.append(f"y = {tracer.text(x)}")
            x = tracer.named("y", x)
        after = join(variant, x, site)
        name = f"h{_SUBSCRIPTS[sites.index(site) + 1]}"
        lines.append(f"{name} = {tracer.text(after)}")
        return tracer.named(name, after)

    with replaced(variant, join=recorded):
        out = variant.layer(stream, sites)
    last_name, _, last_line = lines[-1].partition(" = ") if lines else ("", "", "")
    if lines and tracer.text(out) == tracer.text(tracer.named(last_name, out)):
        lines[-1] = f"x ← {last_line}"
    else:
        lines.append(f"x ← {tracer.text(out)}")
    return out, lines


_SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉"


def _inside(sites: list[Any]) -> Iterator[str]:
    """What is inside the branches: persistent vectors, then the variant's modules, slot by slot."""
    for site in sites:
        if count := getattr(site.sublayer, "persistent", 0):
            what = f"{count} persistent keys and values per head in addition to the tokens'"
            yield f"inside {BRANCHES[site.kind]}: {what}"
        for slot, module in site.sublayer.inside.items():
            what = module.symbol if isinstance(module, Norm) else type(module).__name__
            yield f"inside {BRANCHES[site.kind]}: {what} at {slot}"


def _merged(stack: str, layers: list[tuple[str, ...]]) -> Iterator[Part]:
    number = 1
    for lines, same in groupby(layers):
        last = number + len(list(same)) - 1
        yield Part(stack, f"layer {number}" if number == last else f"layers {number}–{last}", lines)
        number = last + 1
