"""What a config means before anything runs: its keys, its graph, its size."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.config.schema import CLASSES, Config, to_dict
from normexp.config.shape import layer_parameters
from normexp.data.corpus import Corpus, load_corpus
from normexp.model.build import Model, build
from normexp.model.flops import cost
from normexp.model.initialisers import Init
from normexp.model.stack import Stack
from normexp.model.variant import Site, Variant
from normexp.norms import Norm
from normexp.papers import papers_of
from normexp.probes.graph import BRANCHES, graph
from normexp.records.folder import as_yaml
from normexp.views.data import describe_data

LOCAL = ("name", "results", "config_dirs")  # where a run goes, not what it is
FOLLOW = ("model.encoder_depth", "model.decoder_depth")  # the depth, unless they are set
ROLES = ("query", "key", "value", "out", "fc1", "gate", "fc2")


def describe(config: Config, default: Config | None = None) -> str:
    """What a config builds, the graph first: equations, constants at this depth, parameters; then its settings.

    default: if given, only the settings that differ from it are listed; otherwise all of them, as YAML.
    """
    corpus = load_corpus(config.data)
    model = build(config, corpus)
    stack, lines = model.stacks[0], []
    add_ons = {name: type(add_on) for name, add_on in stack.add_ons.items()}
    for name, owner in ((config.variant.name, config.variant.cls), *add_ons.items()):
        lines += [*_source(name, owner), ""]
    letters = ", ".join(f"{letter} {kind.replace('_', '-')}" for kind, letter in BRANCHES.items())
    lines += [f"The graph, with {letters}:"]
    parts = graph(model)
    for part in parts:
        lines += [f"  {part.stack} {part.where}", *(f"    {line}" for line in part.lines)]
    named = {f"{type(s.variant).__name__}." for s in model.stacks}
    if any(name in line for part in parts for line in part.lines for name in named):
        lines += ["  what reads numbers in a tensor cannot be an equation; it is named as a function"]
    lines += [f"  {s.shape.stack}: {remark}" for s in model.stacks for remark in s.variant.warnings()]
    lines += [f"  {s.shape.stack}: {leak}" for s in model.stacks for leak in _leaks(s)]
    constants = list(_constants(model, config.init.build()))
    lines += ["", "Constants at this depth:", *(f"  {line}" for line in constants or ["none"])]
    baselines = " · ".join(f"{name} {value:.3f}" for name, value in corpus.baselines_for(config.task.name).items())
    total = sum(p.numel() for p in model.parameters())
    lines += ["", f"Parameters: {total:,}", f"  in matrices of layers: {layer_parameters(config):,} (model.parameters)"]
    lines += [*_step(config, corpus), f"Baselines of {config.data.name}: {baselines} (nats)"]
    lines += [*describe_data(corpus, config.task.name), ""]
    if default is None:
        return "\n".join([*lines, as_yaml(to_dict(config)).rstrip()])
    return "\n".join([*lines, *_differing(config, default)])


def _step(config: Config, corpus: Corpus) -> Iterator[str]:
    """What a step of training costs, where it can be counted."""
    with suppress(Exception):  # the code of a variant may need numbers
        tokens, flops = cost(config, corpus)
        yield f"A step: {tokens:,.0f} tokens, {flops:.3g} FLOPs per token"


def _differing(config: Config, default: Config) -> Iterator[str]:
    """The settings that are not the default ones."""
    ours, theirs = _flat(to_dict(config)), _flat(to_dict(default)) | _own_defaults(config, default)
    keys = [key for key in ours if key not in LOCAL and ours[key] != theirs.get(key)]
    keys = [key for key in keys if key not in FOLLOW or ours[key] != ours["depth"]]
    yield "Settings other than the defaults:" if keys else "All settings are the defaults."
    for key in keys:
        yield f"  {key}: {ours[key]}" + (f" (default {_or_none(theirs[key])})" if key in theirs else "")
    yield "normexp show --all prints every setting; normexp show KEY explains one."


def _or_none(value: Any) -> Any:
    return "none" if value in (None, "", [], {}) else value


def _own_defaults(config: Config, default: Config) -> dict[str, Any]:
    """The options of what was chosen in place of a default, as its own YAML has them, by dotted key."""
    composer = Composer("train", config.config_dirs)
    found: dict[str, Any] = {}
    for group in CLASSES:
        chosen: Choice = getattr(config, group)
        if chosen.name != getattr(default, group).name:
            own = composer.choice(group, chosen.name).options.items()
            # One that follows from another key is as it should be.
            found |= {f"{group}.{key}": chosen.options[key] if "${" in str(each) else each for key, each in own}
    return found


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted key; a group has the name of its choice, and options only where they are its own."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            inner = _flat(value, f"{prefix}{key}.")
            ours = ((name, each) for name, each in inner.items() if not any(map(_is_internal, name.split("."))))
            found |= {name.removesuffix(".name"): each for name, each in ours}
        else:
            found[prefix + key] = value
    return found


def _is_internal(part: str) -> bool:
    return part.startswith("_")


def _source(name: str, variant: Any) -> list[str]:
    """The equation of a variant or an add-on, its papers and what it was checked against."""
    lines = [f"{name}: {variant.equation or '(no equation stated)'}"]
    for paper in papers_of(variant.paper):
        lines.append(f"  {paper.citation}, {paper.title}" + (f", {paper.link}" if paper.link else ""))
    return [*lines, f"  verified: {variant.verified}"] if variant.verified else lines


def _leaks(stack: Stack) -> list[str]:
    """The norms through which a token of a causal stack depends on later tokens."""
    norms = {
        module.symbol: module.causality_note
        for module in stack.modules()
        if isinstance(module, Norm) and module.causality_note
    }
    return [f"{symbol}: {leak}" for symbol, leak in norms.items()] if stack.shape.stack == "decoder" else []


def _constants(model: Model, init: Init) -> Iterator[str]:
    """The variant's parameters other than norms, their initial values, and all factors on initial weights."""
    for stack in model.stacks:
        name, variant = stack.shape.stack, stack.variant
        profiled = type(variant).calibrate is not Variant.calibrate
        source = "set from one batch before training" if profiled else "learned"
        own: dict[str, list[torch.Tensor]] = {}
        for site in stack.sites:
            for key, value in site.named_parameters(recurse=False):
                own.setdefault(f"{name} {key}, at every site", []).append(value)
        for part in (variant, *stack.add_ons.values()):
            own |= {f"{name} {key}": [value] for key, value in part.named_parameters(recurse=False)}
        for key, values in own.items():
            yield f"{key}: {_range([float(f(v.detach())) for v in values for f in (torch.min, torch.max)])} ({source})"
        yield from _gains(name, stack.sites, variant, init)
    outside = {"embedding": model.stacks[0]} | ({"head": model.stacks[-1]} if model.head is not None else {})
    for role, stack in outside.items():
        if (factor := stack.variant.init_scale(None, role)) != 1:
            yield f"{role}: initial weights × {factor:.4g}"


def _gains(name: str, sites: list[Site], variant: Variant, init: Init) -> Iterator[str]:
    gains: dict[tuple[str, str], list[float]] = {}
    for site in sites:
        for role in ROLES:
            if isinstance(getattr(site.sublayer, role, None), nn.Linear):
                gains.setdefault((site.kind, role), []).append(
                    variant.init_scale(site, role) * init.factor(site, role, len(sites))
                )
    for (kind, role), values in gains.items():
        if any(value != 1 for value in values):
            yield f"{name} {kind} {role}: initial weights × {_range(values)}"


def _range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
