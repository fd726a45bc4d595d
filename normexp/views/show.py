"""What a config means before anything runs: its graph, its size, its price."""

from collections.abc import Iterator

import torch
import yaml
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from normexp.config.compose import Composer
from normexp.config.schema import Config, to_dict
from normexp.data.corpus import load_corpus
from normexp.errors import ConfigError
from normexp.model.build import Model, build
from normexp.model.initialisers import Init
from normexp.model.stack import Stack
from normexp.model.variant import Site, Variant
from normexp.norms import Norm
from normexp.probes.graph import BRANCHES, graph

ROLES = ("query", "key", "value", "out", "fc1", "fc2")


def describe(config: Config) -> str:
    """The resolved config, then what it builds: equations, constants at this depth, parameters."""
    corpus = load_corpus(config.data)
    model = build(config, corpus)
    equation = type(model.stacks[0].variant).equation()
    lines = [yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)]
    paper = f"   ({equation.paper})" if equation.paper else ""
    lines += [f"{config.variant.name}: {equation.text}{paper}", ""]
    letters = ", ".join(f"{letter} {kind.replace('_', '-')}" for kind, letter in BRANCHES.items())
    lines += [f"The graph, with {letters}:"]
    for part in graph(model):
        lines += [f"  {part.stack} {part.where}", *(f"    {line}" for line in part.lines)]
    lines += [f"  {s.shape.stack}: {remark}" for s in model.stacks for remark in s.variant.warnings()]
    lines += [f"  {s.shape.stack}: {leak}" for s in model.stacks for leak in _leaks(s)]
    constants = list(_constants(model, config.init.build()))
    lines += ["", "Constants at this depth:", *(f"  {line}" for line in constants or ["none"])]
    levels = " · ".join(f"{name} {value:.3f}" for name, value in corpus.baselines.items())
    total = sum(p.numel() for p in model.parameters())
    lines += ["", f"Parameters: {total:,}", f"Baselines of {config.data.name}: {levels} (nats)"]
    return "\n".join(lines)


def _leaks(stack: Stack) -> list[str]:
    """By which norms a token of a causal stack learns of later ones."""
    norms = {
        module.symbol: module.causality_note
        for module in stack.modules()
        if isinstance(module, Norm) and module.causality_note
    }
    return [f"{symbol}: {leak}" for symbol, leak in norms.items()] if stack.shape.stack == "decoder" else []


def _constants(model: Model, init: Init) -> Iterator[str]:
    """What the variant owns beside norms, where it starts, and its and the init's factors on initial weights."""
    for stack in model.stacks:
        name, variant = stack.shape.stack, stack.variant
        profiled = type(variant).calibrate is not Variant.calibrate
        source = "set from one batch before training" if profiled else "learned"
        own: dict[str, list[torch.Tensor]] = {}
        for site in stack.sites:
            for key, value in site.named_parameters(recurse=False):
                own.setdefault(f"{name} {key}, at every site", []).append(value)
        for key, value in variant.named_parameters(recurse=False):
            own[f"{name} {key}"] = [value]
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
            if hasattr(site.sublayer, role):
                gains.setdefault((site.kind, role), []).append(
                    variant.init_scale(site, role) * init.factor(site, role, len(sites))
                )
    for (kind, role), values in gains.items():
        if any(value != 1 for value in values):
            yield f"{name} {kind} {role}: initial weights × {_range(values)}"


def _range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def list_variants(composer: Composer) -> RenderableType:
    """Name, equation and paper of every variant that the config folders offer."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("variant", "equation", "paper"):
        table.add_column(column, no_wrap=column == "variant")
    for name in composer.options("variant"):
        try:
            equation = composer.choice("variant", name).cls.equation()
        except ConfigError as error:  # one broken file must not hide all others
            table.add_row(name, f"[red]{escape(str(error))}[/]", "")
            continue
        table.add_row(name, escape(equation.text), escape(equation.paper))
    return table
