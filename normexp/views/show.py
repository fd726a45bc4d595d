"""What a config means before anything runs: its graph, its size, its price."""

import time
from collections.abc import Iterator
from typing import Any

import torch
import yaml
from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from normexp.config.choice import locate, maker
from normexp.config.compose import Composer
from normexp.config.schema import depths
from normexp.data.corpus import load_corpus
from normexp.model.build import Model, build
from normexp.model.initialisers import Init
from normexp.model.stack import Stack
from normexp.model.variant import Site, Variant
from normexp.norms import Norm
from normexp.papers import citations, papers_of
from normexp.probes.graph import BRANCHES, graph
from normexp.sweep.plan import Sweep
from normexp.sweep.progress import clock
from normexp.training.trainer import Trainer

STRIDE = 3  # layers between the two depths that an estimate measures
COLUMNS = ("variant", "equation", "paper", "verified")  # of `normexp variants`
ROLES = ("query", "key", "value", "out", "fc1", "fc2")


def describe(config: dict[str, Any]) -> str:
    """The resolved config, then what it builds: equations, constants at this depth, parameters."""
    corpus = load_corpus(config)
    model = build(config, len(corpus.vocabulary), len(corpus.classes))
    lines = [yaml.safe_dump(config, sort_keys=False, allow_unicode=True)]
    lines += [*_source(config["variant"]["name"], type(model.stacks[0].variant)), ""]
    letters = ", ".join(f"{letter} {kind.replace('_', '-')}" for kind, letter in BRANCHES.items())
    lines += [f"The graph, with {letters}:"]
    for part in graph(model):
        lines += [f"  {part.stack} {part.where}", *(f"    {line}" for line in part.lines)]
    lines += [f"  {s.shape.stack}: {remark}" for s in model.stacks for remark in s.variant.warnings()]
    lines += [f"  {s.shape.stack}: {leak}" for s in model.stacks for leak in _leaks(s)]
    constants = list(_constants(model, maker("init", config["init"])()))
    lines += ["", "Constants at this depth:", *(f"  {line}" for line in constants or ["none"])]
    levels = " · ".join(f"{name} {value:.3f}" for name, value in corpus.baselines.items())
    total = sum(p.numel() for p in model.parameters())
    lines += ["", f"Parameters: {total:,}", f"Levels of {config['data']['name']}: {levels} (nats)"]
    return "\n".join(lines)


def _source(name: str, variant: type[Variant]) -> list[str]:
    """The variant's equation, its papers and what it was checked against."""
    lines = [f"{name}: {variant.equation or '(no equation stated)'}"]
    for paper in papers_of(variant.paper):
        lines.append(f"  {paper.citation}, {paper.title}" + (f", {paper.link}" if paper.link else ""))
    return [*lines, f"  verified: {variant.verified}"] if variant.verified else lines


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
    """One row per variant that the config folders offer: name, equation, paper, what it was checked against.

    A terminal gets a table whose papers are links; anything else gets one line per variant, the addresses in a last
    column.
    """
    rows = {}
    for name in composer.options("variant"):
        node = composer.compose([f"variant={name}"]).variant
        rows[name] = locate("variant", {"name": name, **node})
    return _linked_table(rows) if Console().is_terminal else _lines(rows)


def _linked_table(variants: dict[str, type[Variant]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in COLUMNS:
        table.add_column(column, no_wrap=column == "variant")
    for name, variant in variants.items():
        cited = Text(", ").join(Text(p.citation, f"link {p.link}" if p.link else "") for p in papers_of(variant.paper))
        table.add_row(name, escape(variant.equation), cited, escape(variant.verified))
    return table


def _lines(variants: dict[str, type[Variant]]) -> str:
    rows = [(*COLUMNS, "link")]
    for name, variant in variants.items():
        links = " ".join(paper.link for paper in papers_of(variant.paper))
        rows.append((name, variant.equation, citations(variant.paper), variant.verified, links))
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    padded = ("  ".join(set_cell_size(*cell) for cell in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(escape(line.rstrip()) for line in padded)


def estimate(sweep: Sweep, jobs: int) -> RenderableType:
    """The cells, each with its parameters, steps and time, and the time of all of them on `jobs` cores.

    The time is measured: a few steps at depth 1 and 4 with the cell's own sizes, drawn out to its depth. That of probes
    is not known before they are run.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("cell", "parameters", "steps", "time", "state"):
        table.add_column(column, justify="left" if column in ("cell", "state") else "right", no_wrap=True)
    todo = longest = 0.0
    measured: dict[str, tuple[float, float]] = {}
    for cell in sweep.cells:
        config, seconds = cell.config, 0.0
        if steps := config["steps"]:
            shallow, deeper = _at_depth(config, 1), _at_depth(config, 1 + STRIDE)
            free = ("depth", "seed", "lr", "warmup", "steps")
            key = yaml.safe_dump({k: v for k, v in shallow.items() if k not in free})
            if key not in measured:
                measured[key] = _seconds_per_step(shallow, deeper)
            one, more = measured[key]
            layers = [depth for depth in depths(config) if depth]
            depth = sum(layers) / len(layers)
            seconds = steps * (one + max(more - one, 0) / STRIDE * (depth - 1))
        folder = sweep.folder(cell)
        done = folder.path.is_dir() and folder.finished
        todo, longest = (todo, longest) if done else (todo + seconds, max(longest, seconds))
        state = "complete" if done else "to do"
        table.add_row(cell.name, f"{_parameters(config):,}", str(steps), clock(seconds) if steps else "–", state)
    total = f"; to do: about {clock(max(longest, todo / jobs))} with {jobs} at a time" if measured else ""
    table.caption = f"{len(sweep.cells)} cells in {sweep.path}{total}"
    table.caption_justify = "left"
    return table


def _at_depth(config: dict[str, Any], depth: int) -> dict[str, Any]:
    return {**config, "model": {**config["model"], "encoder_depth": depth, "decoder_depth": depth}}


def _parameters(config: dict[str, Any]) -> int:
    corpus = load_corpus(config)
    with torch.device("meta"):
        model = build(config, len(corpus.vocabulary), len(corpus.classes))
    return sum(p.numel() for p in model.parameters())


def _seconds_per_step(shallow: dict[str, Any], deeper: dict[str, Any]) -> tuple[float, float]:
    """The quickest of a few training steps of two models, taken in turn, so that noise hits both alike."""
    torch.set_num_threads(shallow["training"]["threads"])
    trainers = [Trainer(config, load_corpus(config)) for config in (shallow, deeper)]
    times: list[list[float]] = [[], []]
    data = trainers[0].data()
    for _ in range(8):
        batch = next(data)
        for trainer, own in zip(trainers, times, strict=True):
            start = time.perf_counter()
            float(trainer.step(batch)[0])  # waits for the device
            own.append(time.perf_counter() - start)
    return min(times[0]), min(times[1])
