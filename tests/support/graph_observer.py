"""The graph of a running model, as words along its paths."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from normexp.model.variant import Context
from tests.support.recorded import (
    NORMS,
    Recorded,
    answering,
    branches,
    changed,
    is_one_of,
    joined_words,
    made,
    paths,
    recorded,
    watched,
)


@dataclass
class Observed:
    """By site (`decoder.02.attention`, followed by a number where there are several streams), layer, or for all stacks.

    main: every way around the branch; branch: what only ways through it have. A way that does not start at the site's
    own stream says where: at another stream of it (`2:`), or at what entered the layer (`bottom:`).
    reads, leaves: what a layer does to its input and output outside its sites.
    identity: what silent branches leave of a gradient, from the first layer's input to the last layer's stream: a
    factor, or `normed` where the output does not change with the size of the input.
    """

    main: dict[str, str] = field(default_factory=dict)
    branch: dict[str, str] = field(default_factory=dict)
    queries: dict[str, str] = field(default_factory=dict)
    memory: dict[str, str] = field(default_factory=dict)
    reads: dict[str, str] = field(default_factory=dict)
    leaves: dict[str, str] = field(default_factory=dict)
    opens: str = ""
    closes: str = ""
    identity: str = ""


def vectors(tokens: int) -> Tensor:
    return torch.randn(2, tokens, 16, dtype=torch.float64)


def observe(model: Any) -> Observed:
    """The model is in float64 and evaluates; its width is 16."""
    found = Observed()
    opens, closes, memory = [], [], vectors(4)
    with watched(model):
        for stack in model.stacks:
            stack.set_context(Context(memory=memory, trace={}))
            x = made(vectors(5))
            stream = stack.variant.start_stream(x)
            opens.append(", ".join(joined_words(paths(each, [x])) for each in recorded(stream)))
            for sites in stack.sites_by_layer:
                stream = observe_layer(stack, changed(stream, made), sites, memory, found)
            stream = changed(stream, made)
            closes.append(joined_words(paths(stack.variant.finish_stream(stream), recorded(stream))))
            stack.set_context(Context())
    found.opens, found.closes = of_all(opens), of_all(closes)
    found.identity = of_all([identity(stack) for stack in model.stacks])
    return found


def of_all(stacks: Sequence[str]) -> str:
    """encoder / decoder, once where they are alike."""
    return " / ".join(dict.fromkeys(stacks))


def observe_layer(stack: Any, stream: Any, sites: list[Any], memory: Tensor, found: Observed) -> Any:
    """The layer's output stream; what is seen at its sites goes into `found`."""
    calls: dict[str, tuple[list[Recorded], list[Recorded]]] = {}
    join = stack.variant.join

    def noted(x: Any, site: Any) -> Any:
        out = join(x, site)
        calls[site.name] = recorded(x), recorded(out)
        return out

    stack.variant.join = noted
    out = stack.layer(stream, sites)
    del stack.variant.join
    bottom = before = recorded(stream)
    layer = sites[0].name.rpartition(".")[0]
    for site in sites:
        noted_stream = [stack.context.trace[f"{site.name}/stream"]]  # of a variant that overrides layer
        inputs, outputs = calls.get(site.name, (before, noted_stream))
        if site is sites[0]:
            found.reads[layer] = joined_words(paths(inputs[0], bottom))
        for number, each in enumerate(outputs):
            name = f"{site.name} {number + 1}" if len(outputs) > 1 else site.name
            observe_join(name, each, inputs, bottom, number, found)
        if site.kind == "cross_attention":
            observe_cross(site, outputs[0], [*inputs, *bottom], memory, found)
        before = outputs
    new = [each for each in recorded(out) if not is_one_of(each, bottom)]
    found.leaves[layer] = joined_words(paths(new[0], before))
    return out


def observe_join(
    name: str, out: Recorded, inputs: list[Recorded], bottom: list[Recorded], number: int, found: Observed
) -> None:
    def origin(start: Recorded) -> str:
        index = next((i for i, each in enumerate(inputs) if each is start), None)
        return "bottom: " if index is None else "" if index == number else f"{index + 1}: "

    ways = paths(out, [*inputs, *bottom])
    around = [way for way in ways if not branches(way)]
    shared = [node for way in around for node in way]
    apart = [[way[0], *(n for n in way[1:] if not is_one_of(n, shared))] for way in ways if branches(way)]
    found.main[name], found.branch[name] = joined_words(around, origin), joined_words(apart, origin)


def observe_cross(site: Any, out: Recorded, starts: list[Recorded], memory: Tensor, found: Observed) -> None:
    """Norms on the way to the queries and to what the keys are made from (`yes`), and on either by head (`heads`)."""
    through = [way for way in paths(out, starts) if branches(way)]
    branch = branches(through[0])[0]
    before = {node.word for way in through for node in takewhile(lambda node: node is not branch, way[1:])}
    on_stream = {"queries": bool(before & set(NORMS.values())), "memory": branch.keys_from is not memory}
    for what, part in (("queries", "query"), ("memory", "key")):
        where = {"yes": on_stream[what], "heads": f"{part} norm" in branch.word}
        getattr(found, what)[site.name] = " ".join(word for word, there in where.items() if there) or "no"


def identity(stack: Any) -> str:
    """See Observed; of every stream where a layer has several, else of the one that probes see."""
    stack.set_context(Context(memory=vectors(4)))
    opened = stack.variant.start_stream(vectors(5))
    leaf = changed(opened, lambda each: each.detach().clone().requires_grad_())
    leaves = list(leaf) if isinstance(leaf, list | tuple) else [leaf]
    with answering({site.sublayer: lambda x, *_: 0 * x for site in stack.sites}):
        outs, larger = (through_layers(stack, each) for each in (leaf, changed(leaf, lambda each: 3 * each)))
    stack.set_context(Context())
    return ", ".join(
        passed(out, other, start, leaves) for out, other, start in zip(outs, larger, seen(stack, leaf), strict=True)
    )


def through_layers(stack: Any, stream: Any) -> list[Tensor]:
    for sites in stack.sites_by_layer:
        stream = stack.variant.layer(stream, sites)
    return seen(stack, stream)


def seen(stack: Any, stream: Any) -> list[Tensor]:
    return list(stream) if isinstance(stream, tuple) else [stack.variant.main_stream(stream)]


def passed(out: Tensor, larger: Tensor, start: Tensor, leaves: list[Tensor]) -> str:
    upstream = torch.randn_like(out)
    arrived, sent = (gradient(each, upstream, leaves) for each in (out, start))
    factor = (arrived @ sent / (sent @ sent)).item()
    if torch.allclose(arrived, factor * sent, rtol=0, atol=1e-9):
        return f"{factor:.3g}"
    return "normed" if torch.allclose(out, larger, rtol=0, atol=1e-4) else "neither"


def gradient(out: Tensor, upstream: Tensor, leaves: list[Tensor]) -> Tensor:
    found = torch.autograd.grad((out * upstream).sum(), leaves, retain_graph=True, materialize_grads=True)
    return torch.cat([each.flatten() for each in found])
