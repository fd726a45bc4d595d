"""Whether every layer joins what it reads to what its branches make of it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from normexp.cards.case import SOURCES, TARGETS, Case
from normexp.cards.finding import Found
from normexp.cards.places import listed
from normexp.model.replaced import replaced
from normexp.model.stack import Stack
from normexp.model.variant import Context, Site, Trace
from normexp.probes import graph
from normexp.variants.mixed import Mixed

Lines = tuple[str, ...]


def joined_in_every_layer(case: Case) -> Found:
    """With branches that ignore what they read, a layer's output must depend on its input in all layers or in none.

    A variant that chooses another variant per site (Mixed) may mean the difference, so there it is a note.
    """
    model = case.model(moved=True)
    written = graph.layers(case.model())
    failures: dict[str, str] = {}
    notes: dict[str, str] = {}
    for stack in model.stacks:
        name, lines = stack.shape.stack, written[stack.shape.stack]
        lost = [_lost_at(stack, layer) for layer in range(len(lines))]
        without = [layer for layer, site in enumerate(lost) if site]
        if without and "" not in lost:
            notes[name] = "no layer has a residual connection"
        elif without:
            (notes if isinstance(stack.variant, Mixed) else failures)[name] = _odd(without, lost, lines)
        elif said := _unlike(lines):
            notes[name] = said
    return Found(*(_by_stack(found, len(model.stacks)) for found in (failures, notes)))


def _by_stack(said: dict[str, str], stacks: int) -> str:
    """What was found in the stacks: once where it is the same in all of them, else each with the stack's name."""
    if len(said) == stacks and len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"{stack} {text}" for stack, text in said.items())


def _odd(without: Sequence[int], lost: Sequence[str | None], lines: Sequence[Lines]) -> str:
    """What the first layer without a residual computes, next to the nearest layer with one."""
    first = without[0]
    verb = "differs from its neighbours" if len(without) == 1 else "differ from the others"
    nearest = min((layer for layer, site in enumerate(lost) if site == ""), key=lambda layer: abs(layer - first))
    here = next((line for line, its in zip(lines[first], lines[nearest], strict=False) if line != its), "")
    its = next((its for line, its in zip(lines[first], lines[nearest], strict=False) if line != its), "")
    equations = f": {here} where layer {nearest + 1} has {its}" if here else ""
    return f"{_layers(without)} {verb}, {lost[first]} drops the stream{equations}"


def _lost_at(stack: Stack, layer: int) -> str | None:
    """The site of a layer at which the way around the branches ends: "" if it does not; None if it cannot be seen."""
    trace: Trace = {}
    sites = stack.sites_by_layer[layer]
    batch, width = len(SOURCES), stack.shape.width
    tokens = max(SOURCES if stack.shape.stack == "encoder" else TARGETS)
    memory = torch.randn(batch, max(SOURCES), width) if stack.shape.encoder_depth else None
    generator = torch.Generator().manual_seed(layer)
    with ExitStack() as contexts:
        for site in stack.sites:
            constant = torch.randn(batch, tokens, width, generator=generator)
            contexts.enter_context(replaced(site.sublayer, forward=lambda *_, constant=constant, **__: constant))
        contexts.callback(stack.set_context, Context())
        stack.set_context(Context(memory=memory, trace=trace))
        with torch.no_grad():
            stream = stack.variant.start_stream(torch.randn(batch, tokens, width, generator=generator))
            for below in stack.sites_by_layer[:layer]:
                stream = stack.layer(stream, below)
        read = _leaves(stream, generator)
        inputs = _reached(stack.variant.main_stream(read), list(_tensors(read)))
        if not inputs:
            return None
        trace.clear()
        out = stack.variant.main_stream(stack.layer(read, sites))
        if _reached(out, inputs):
            return ""
        after = ((site, trace[f"{site.name}/stream"]) for site in sites if f"{site.name}/stream" in trace)
        return next((_name(site) for site, x in after if not _reached(x, inputs)), _name(sites[-1]))


def _name(site: Site) -> str:
    return site.name.rpartition(".")[2].replace("_", "-")


def _leaves(stream: Any, generator: torch.Generator) -> Any:
    """The same structure with independent random tensors that gradients are taken of."""
    if isinstance(stream, Tensor):
        return torch.randn(stream.shape, generator=generator).requires_grad_()
    if isinstance(stream, tuple) and hasattr(stream, "_fields"):
        return type(stream)(*(_leaves(each, generator) for each in stream))
    if isinstance(stream, list | tuple):
        return type(stream)(_leaves(each, generator) for each in stream)
    if isinstance(stream, dict):
        return {key: _leaves(each, generator) for key, each in stream.items()}
    return stream


def _tensors(stream: Any) -> Iterator[Tensor]:
    if isinstance(stream, Tensor):
        yield stream
    elif isinstance(stream, list | tuple | dict):
        for each in stream.values() if isinstance(stream, dict) else stream:
            yield from _tensors(each)


def _reached(x: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """The inputs on which a tensor depends."""
    if not x.requires_grad or not inputs:
        return []
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    gradients = torch.autograd.grad((x * weights).sum(), inputs, retain_graph=True, allow_unused=True)
    return [each for each, g in zip(inputs, gradients, strict=True) if g is not None and torch.count_nonzero(g)]


def _unlike(lines: Sequence[Lines]) -> str:
    """Which layers compute something else than the others; empty if all compute the same, numbers aside."""
    runs = []
    for text, same in groupby(enumerate(lines), key=lambda each: _without_numbers(each[1])):
        runs.append((text, [layer for layer, _ in same]))
    if len(runs) == 1:
        return ""
    if len(runs) == 3 and runs[0][0] == runs[2][0]:
        inner = runs[1][1]
        verb = "differs from its neighbours" if len(inner) == 1 else "differ from their neighbours"
        return f"{_layers(inner)} {verb}"
    *first, last = [_layers(layers) for _, layers in runs]
    return f"{listed(first)} and {last} compute different equations"


def _layers(places: Sequence[int]) -> str:
    """Layers counted from 1: layer 3; layers 1–2; layers 1, 4 and 6."""
    numbers = [place + 1 for place in places]
    if len(numbers) == 1:
        return f"layer {numbers[0]}"
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"layers {numbers[0]}–{numbers[-1]}"
    return f"layers {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _without_numbers(lines: Lines) -> str:
    """The text of a layer without its constants, and with a list of streams of any length as one sign."""
    text = re.sub(r"x[₀-₉]+(, x[₀-₉]+)*", "x…", "\n".join(lines))
    return re.sub(r"\d+(\.\d+)?(e[-+]?\d+)?", "#", text)
