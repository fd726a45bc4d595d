"""Runs that nobody trained: a study's own grid, and tables filled from functions of where and when a value stands."""

import itertools
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from normexp.config.choice import Choice
from normexp.config.schema import value_of
from normexp.probes.skeleton import EMBEDDING
from normexp.studies.claim import Claim
from normexp.studies.runner import studies
from normexp.studies.study import KEYS, Part, Runs, Study, parts_of
from normexp.sweep.plan import plan
from normexp.views.runs import TABLES

# What glob(*) stands for here: the variants of which something is claimed.
VARIANTS = (
    *("post_ln", "pre_ln", "admin", "deep_norm", "b2t", "dlcl_post", "dlcl_pre", "plain", "no_residual", "no_norm"),
    *("layer_norm_scaling", "attention_residuals", "mix_ln", "peri_ln"),
)
LEVELS = {"baseline.unigram": 2.9, "baseline.position_only": 1.9, "baseline.target_bigram": 2.1,
          "baseline.blind": 1.0, "baseline.floor": 0.0}  # fmt: skip
SEEDS = 10  # of longer ranges the first five, which are faster
SETTINGS = (*KEYS, "model", "data", "optimizer", "probe.every", "record.evaluate_every", "model.fix_norm",
            "model.attention_norm", "model.feed_forward", "model.width", "model.tied")  # fmt: skip
KINDS = {"encoder": ["attention", "feed_forward"], "decoder": ["attention", "cross_attention", "feed_forward"]}
ATTENTION = ("query", "key", "value")
# What every probe writes, as far as studies may read it: everywhere, for fc2, at the end of layers, …
PROBES = {
    "gradient_norm": {"grad_norm": ("site", "attention matrices", "fc2")},
    "stream": {"stream_norm": ("whole", "site"), "branch_norm": ("site",), "sum_norm": ("site",)},
    "identity_path": {"path_error": ("end",)},
    "stream_gradient": dict.fromkeys(("stream_grad_norm", "stream_grad_relative", "branch_grad_norm"), ("site",)),
    "dependency": {"dependency": ("site",), "dependency_map": ("parts",)},
    "output_shift": {"output_shift": ("whole",), "stream_shift": ("site",)},
    "update_shift": {"update_shift": ("whole",), "update_shift_norm": ("whole",)},
    "update_ratio": {"update_norm": ("site", "fc2"), "update_ratio": ("site", "fc2")},
    "model_update": dict.fromkeys(("model_update", "stream_update"), ("whole",)),
    "token_similarity": dict.fromkeys(("token_cosine", "rank_residual"), ("whole", "site")),
    "alignment": {"input_cosine": ("not the first site",)},
    "activation": {"activation_max": ("site",)},
    "mixing": dict.fromkeys(("mixing_change", "forward_gain", "backward_gain"), ("site",)),
    "attention": {"attention_logit_max": ("attention",)},
    "skip_layer": {"skip_rise": ("layer",), "skip_effect": ("not the last layer",), "skip_map": ("layers",)},
    "angular_distance": {"angular_distance": ("layer",)},
    "swap_layers": {"swap_rise": ("not the last layer",)},
    "relative_contribution": {"layer_change": ("layer",), "layer_cosine": ("layer",)},
}


class Case(NamedTuple):
    """A claim's value in the world that follows the paper, what to change in it, and the value that then comes out."""

    holds: float
    against: dict[str, Any]
    fails: float
    size: str = "quick"


class World:
    """What a study's runs would measure. A subclass has a method per statistic: value as a function of `rows`.

    paper: numbers that are planted, as `self.p`; changes: others in their place. The rows have all settings of their
    runs as columns. Curves are train_nll, train_grad_norm and valid_nll.
    gone: the step at which Post-LN and the last of several seeds diverge; what is measured at the start is 0 or not
    finite in some of these.
    noise: what is trained is multiplied by noise, and every outcome is this one.
    """

    study: str
    figures: tuple[str, ...]
    paper: dict[str, Any]
    cases: dict[str, Case]

    def __init__(self, size: str = "quick", gone: int = 0, noise: str = "", **changes: Any) -> None:
        assert changes.keys() <= self.paper.keys()
        self.p = SimpleNamespace(**self.paper | changes)
        self.size, self.gone, self.noise = size, gone, noise

    def load(self) -> Study:
        """The study on its own grid."""
        node = yaml.safe_load(studies()[self.study].read_text())
        parts = parts_of(node["parts"], self.size, VARIANTS)
        return Choice.of("study", {"name": self.study, "_target_": node["_target_"]}).build(parts, self.size)

    def runs(self) -> dict[str, "Made"]:
        """The runs of every part that the study's plan asks for."""
        plan, runs = self.load().plan(), {}
        part = next(plan)
        while part is not None:
            runs[part.name] = Made(part, self)
            try:
                part = plan.send(runs[part.name])
            except StopIteration:
                part = None
        return runs

    def claim(self, name: str) -> Claim:
        return self.load().claim(name, self.runs())

    def claims(self) -> dict[str, Claim]:
        return {claim.name: claim for claim in self.load().claims(self.runs())}

    def final_loss(self, frame: pd.DataFrame) -> Any:
        return 0.1 + 0.01 * frame["seed"]

    def valid_loss(self, frame: pd.DataFrame) -> Any:
        return 0.2 + 0.01 * frame["seed"]

    def outcome(self, frame: pd.DataFrame) -> Any:
        return "trained"

    def values(self, names: pd.Series, rows: pd.DataFrame) -> pd.Series:
        """The value of every row, by the method that its name has; 1 where there is none."""
        value = pd.Series(1.0, index=rows.index)
        for name, some in rows.groupby(names):
            if method := getattr(self, str(name), None):
                value[some.index] = np.asarray(method(some), dtype=float)
        return value


class Made(Runs):
    """The runs of a part in a world. Tables are made when they are asked for, of what the part's probes measure."""

    def __init__(self, part: Part, world: World) -> None:
        self.part, self.folder, self.world = part, Path(part.folder), world
        line = dict(text.split("=", 1) for text in part.line)
        every = [name.strip() for name in line.pop("probe", "gradient_norm").strip("[]").split(",")]
        self.statistics = {name: places for probe in every for name, places in PROBES[probe].items()}
        self.swept = [key for key, text in line.items() if len(listed(key, text)) > 1]
        grid = {key: listed(key, text) for key, text in line.items()}
        cells = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
        frame = pd.DataFrame([defaults(part.command, line.get("task", "translation")) | cell for cell in cells])
        for key in ("model.encoder_depth", "model.decoder_depth"):
            frame[key] = frame.get(key, frame["depth"])
        frame["folder"] = [f"{part.folder}/{number:04d}" for number in range(len(frame))]
        frame = frame.assign(state="completed", outcome=None, final_loss=None, valid_loss=None, **LEVELS)
        last = (frame["seed"] == frame["seed"].max()) & (frame["seed"].nunique() > 1)
        self.gone = (last | (frame["variant"] == "post_ln")) & bool(world.gone)
        if part.command == "sweep":
            frame["outcome"] = world.noise or world.outcome(frame)
            for name in ("final_loss", "valid_loss"):
                loss = getattr(world, name)(frame) if part.name != "control" else scattered(frame)
                loss = loss * self._noise(len(frame))
                frame[name] = loss.astype(object).where(~self.gone, None if name == "valid_loss" else math.nan)
            frame.loc[self.gone, "outcome"] = "diverged"
        self.frame = frame
        self._read = {}

    def _noise(self, count: int) -> Any:
        return np.random.default_rng(count).lognormal(size=count) if self.world.noise else np.ones(count)

    def _table(self, name: str, statistics: tuple[str, ...], where: dict[str, Any]) -> pd.DataFrame:
        asked = repr((name, statistics, where))
        if asked not in self._read:
            self._read[asked] = self._filled(name, statistics, where)
        return self._read[asked]

    def _filled(self, name: str, statistics: tuple[str, ...], where: dict[str, Any]) -> pd.DataFrame:
        shape = ["task", "model.encoder_depth", "model.decoder_depth", "model.feed_forward"]
        parts = []
        for _, cells in self.frame.assign(gone=self.gone).groupby(shape, sort=False):
            about = cells.iloc[0]
            places = pd.DataFrame(getattr(self, f"_{name}")(about, statistics), columns=TABLES[name][:-1])
            for key in where.keys() - {"step"}:
                places = places[places[key] == where[key]]
            parts.append(cells.merge(places, how="cross"))
        rows = pd.concat(parts).sort_values(["folder", "step"], kind="stable", ignore_index=True)
        names = rows["statistic"] if name == "layers" else rows["split"] + "_" + rows["statistic"]
        rows["value"] = self.world.values(names, rows)
        if len(rows) and rows["steps"].iloc[0]:
            rows["value"] *= self._noise(len(rows))
        if self.world.gone:
            rows = diverged(rows, self.world.gone) if rows["steps"].any() else spoilt(rows)
        rows = rows[rows["step"] == where["step"]] if "step" in where else rows
        keys = dict.fromkeys([*TABLES[name], *self.swept, "state", "folder", *KEYS])
        return rows[list(keys)].reset_index(drop=True)

    def _layers(self, about: pd.Series, statistics: tuple[str, ...]) -> list[tuple]:
        measured = [name for name in statistics if name in self.statistics]
        places = [(name, place) for name in measured for kind in self.statistics[name] for place in at(about, kind)]
        return [(step, *place, name) for step in steps(about, "probe.every") for name, place in places]

    def _curves(self, about: pd.Series, statistics: tuple[str, ...]) -> list[tuple]:
        looks = {("train", "nll"): range(1, max(1, about["steps"]) + 1)}
        if about["steps"]:
            looks["valid", "nll"] = steps(about, "record.evaluate_every")[1:]
        if "grad_norm" in self.statistics:
            looks["train", "grad_norm"] = steps(about, "probe.every")
        return [(step, *key) for key, some in looks.items() if key[1] in statistics for step in some]


def scattered(frame: pd.DataFrame) -> pd.Series:
    """Losses of ten seeds whose halves nothing sets apart."""
    return 0.1 + 0.01 * (frame["seed"] * 7 % 10)


@cache
def defaults(command: str, task: str) -> dict[str, Any]:
    """The settings of a run of this task of which its line says nothing."""
    config = plan(command, [f"task={task}"]).runs[0].config
    values = {key: value_of(config, key) for key in SETTINGS}
    return {key: getattr(value, "name", value) for key, value in values.items()}


def listed(key: str, text: str) -> list[Any]:
    """The values that a line gives a key, typed as in a config."""
    if text.startswith("range("):
        values = list(range(*map(int, text[6:-1].split(","))))
        return values if len(values) <= SEEDS else values[: SEEDS // 2]
    return [value if key == "warmup" else typed(value) for value in text.split(",")]


def typed(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text, text)


def steps(about: pd.Series, every: str) -> list[int]:
    """1, all multiples, and the last one; none where `every` is 0."""
    last, every = about["steps"], about[every]
    return sorted({1, *range(every, last + 1, every), last} - {0}) if every else []


def at(about: pd.Series, kind: str) -> Iterator[tuple[str, int, str, str]]:
    """Stack, layer, site and parameter of every place of a kind."""
    for stack, sites in KINDS.items():
        if stack == {"classification": "decoder", "language_modelling": "encoder"}.get(about["task"]):
            continue
        if about["task"] == "language_modelling":
            sites = [site for site in sites if site != "cross_attention"]
        if kind == "whole":
            yield stack, 0, "", ""
        depth = about[f"model.{stack}_depth"]
        if kind in ("layer", "not the last layer"):
            yield from ((stack, layer, "", "") for layer in range(1, depth + (kind == "layer")))
        if kind == "layers":
            pairs = itertools.combinations(range(1, depth + 1), 2)
            yield from ((stack, layer, "", f"{stack}.{below:02d}") for below, layer in pairs)
            if stack == "decoder" and about["task"] == "translation":
                across = itertools.product(range(1, about["model.encoder_depth"] + 1), range(1, depth + 1))
                yield from ((stack, layer, "", f"encoder.{below:02d}") for below, layer in across)
        sites = [site for site in sites if about["model.feed_forward"] or site != "feed_forward"]
        places = list(itertools.product(range(1, depth + 1), sites))
        for number, (layer, site) in enumerate(places):
            if kind == "end" and site == sites[-1] and layer < depth:
                yield stack, layer, site, ""
            if kind == "not the first site" and number:
                yield stack, layer, site, ""
            if kind == "site" or (kind == "attention" and site.endswith("attention")):
                yield stack, layer, site, ""
            if kind == "attention matrices" and site.endswith("attention"):
                yield from ((stack, layer, site, f"{matrix}.weight") for matrix in ATTENTION)
            if kind == "fc2" and site == "feed_forward":
                yield stack, layer, site, "fc2.weight"
            if kind == "parts":
                below = [f"{stack}.{below:02d}.{name}" for below, name in places[: number + 1]]
                yield from ((stack, layer, site, part) for part in (EMBEDDING, *below))


def diverged(rows: pd.DataFrame, step: int) -> pd.DataFrame:
    """The runs that are gone end at this step, and what they measured last is no number."""
    kept = rows[~rows["gone"] | (rows["step"] <= step)]
    last = kept["step"] == kept.groupby(["folder", "statistic"])["step"].transform("max")
    return kept.assign(value=kept["value"].where(~(kept["gone"] & last), math.nan))


def spoilt(rows: pd.DataFrame) -> pd.DataFrame:
    """0 in Post-LN's first layer; infinite in its last seed's and the others' whole stacks and upper half."""
    last = rows["gone"] & (rows["seed"] == rows["seed"].max())
    upper = last & ((rows.get("layer", 0) == 0) | (rows.get("layer", 0) > rows["depth"] / 2))
    first = (rows["variant"] == "post_ln") & (rows.get("layer", 0) == 1)
    return rows.assign(value=rows["value"].mask(upper, math.inf).mask(first, 0.0))


def by(keys: pd.Series, other: float = 1.0, **values: Any) -> Any:
    """A number for every row, by the name that stands there."""
    codes, names = pd.factorize(keys)
    return pd.Series([values.get(name, other) for name in names]).take(codes).to_numpy()


def seeds(rows: pd.DataFrame) -> pd.Series:
    """A factor by seed, which no exponent and no ratio sees."""
    return 1 + rows["seed"] / 10


def fc2(rows: pd.DataFrame, value: Any) -> Any:
    """The value for fc2; for whole sites another one, which nobody should take for it."""
    return np.where(rows["parameter"] == "fc2.weight", value, 3.0 * rows["layer"] ** 2)


def falling(rows: pd.DataFrame, level: float, to: Any) -> Any:
    """A loss whose mean over twenty steps first comes down to `level` at step `to`."""
    return (level * (1 + (to - 10 - rows["step"]) / 100)).clip(lower=0.01)
