"""The graph that a model really computes, written as equations: its own code, run on symbols.

The stream is replaced by a symbol that writes down what is done to it; norms return LN(·) and sub-layers F(·). So the
text cannot disagree with the code, and it holds for variants that this package does not know. Code that cannot run on
symbols, because it reads the numbers in a tensor, is named as a function.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from torch import nn

from normexp.model.replaced import replaced
from normexp.model.slots import slot_of
from normexp.norms import Norm
from normexp.probes.symbols import BRANCHES, Tracer, subscript

__all__ = ["BRANCHES", "Part", "graph", "layers", "written"]


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
    for name, opens, layers, closes in _stacks(model):
        parts += [Part(name, "opens", (opens,))] if opens else []
        parts += _merged(name, layers)
        parts.append(Part(name, "closes", (closes,)))
    return parts


def layers(model: nn.Module) -> dict[str, list[tuple[str, ...]]]:
    """The equations of every layer, by stack."""
    return {name: found for name, _, found, _ in _stacks(model)}


def written(model: nn.Module) -> list[str]:
    """The graph as lines of text: where, then its equations, indented."""
    return [line for part in graph(model) for line in (f"{part.stack} {part.where}", *(f"  {it}" for it in part.lines))]


def _stacks(model: nn.Module) -> Iterator[tuple[str, str, list[tuple[str, ...]], str]]:
    """Every stack: its name, what opens it ("" for nothing), the equations of each layer, what closes it."""
    tracer = Tracer(model)
    with tracer.symbolic(model):
        for stack in model.stacks:  # type: ignore[union-attr]
            variant, name = stack.variant, stack.shape.stack
            embedding = tracer.symbol("embedding")
            stream = _or_named(tracer, variant, "start_stream", embedding, variant.start_stream)
            opens = "" if tracer.text(stream) == "embedding" else f"x = {tracer.text(stream)}"
            found = []
            for sites in stack.sites_by_layer:
                stream, lines = _layer(tracer, variant, tracer.named("x", stream), sites)
                found.append((*lines, *_inside(sites)))
            output = _or_named(tracer, variant, "finish_stream", tracer.named("x", stream), variant.finish_stream)
            yield name, opens, found, f"output = {tracer.text(output)}"


def _layer(tracer: Tracer, variant: Any, stream: Any, sites: list[Any]) -> tuple[Any, list[str]]:
    """One layer on symbols: its output and its equations, one line for every site that `join` joins."""
    lines: list[str] = []
    join = type(variant).join

    def recorded(x: Any, site: Any) -> Any:
        if not all(map(str.isalnum, tracer.text(x).split(", "))):
            lines.append(f"y = {tracer.text(x)}")
            x = tracer.named("y", x)
        after = _or_named(tracer, variant, "join", x, lambda x: join(variant, x, site), BRANCHES[site.kind])
        name = f"h{subscript(sites.index(site) + 1)}"
        lines.append(f"{name} = {tracer.text(after)}")
        return tracer.named(name, after)

    letters = [BRANCHES[site.kind] for site in sites]
    with replaced(variant, join=recorded):
        out = _or_named(tracer, variant, "layer", stream, lambda x: variant.layer(x, sites), *letters)
    if ".layer(" in tracer.text(out):
        lines.clear()  # what it had written before it failed
    last_name, _, last_line = lines[-1].partition(" = ") if lines else ("", "", "")
    if lines and tracer.text(out) == tracer.text(tracer.named(last_name, out)):
        lines[-1] = f"x ← {last_line}"
    else:
        lines.append(f"x ← {tracer.text(out)}")
    return out, lines


def _or_named(tracer: Tracer, variant: Any, method: str, stream: Any, run: Callable[[Any], Any], *more: str) -> Any:
    """What a method of the variant makes of a stream; if it cannot run on symbols, its name with its arguments."""
    try:
        out = run(stream)
        tracer.text(out)
    except Exception:  # whatever a user's code does with the numbers that a symbol lacks
        return tracer.called(f"{type(variant).__name__}.{method}", stream, *more)
    return out


def _inside(sites: list[Any]) -> Iterator[str]:
    """What is inside the branches: persistent vectors, then the variant's modules, slot by slot."""
    for site in sites:
        if count := getattr(site.sublayer, "persistent", 0):
            what = f"{count} persistent keys and values per head in addition to the tokens'"
            yield f"inside {BRANCHES[site.kind]}: {what}"
        for slot, module in site.sublayer.inside.items():
            what = module.symbol if isinstance(module, Norm) else type(module).__name__
            yield f"inside {BRANCHES[site.kind]}: {what} at {slot_of(slot)}"


def _merged(stack: str, layers: list[tuple[str, ...]]) -> Iterator[Part]:
    number = 1
    for lines, same in groupby(layers):
        last = number + len(list(same)) - 1
        yield Part(stack, f"layer {number}" if number == last else f"layers {number}–{last}", lines)
        number = last + 1
