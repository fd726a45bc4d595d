"""What the initial weights of a variant predict: four measurements, next to those of pre_ln and post_ln."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from normexp.cards.subject import Subject
from normexp.config.schema import Config
from normexp.data.corpus import load_corpus
from normexp.probes.jacobian import StackJacobian
from normexp.probes.output_shift import OutputShift
from normexp.probes.probe import Probe
from normexp.probes.stream_gradient import StreamGradient
from normexp.probes.token_similarity import TokenSimilarity
from normexp.studies.statistics import exponent, per_seed, rate
from normexp.studies.verdict import Interval, interval
from normexp.sweep.plan import plan
from normexp.training.trainer import Trainer

PEERS = ("pre_ln", "post_ln")
KEPT = ("stream_grad_norm", "output_shift", "rank_residual", "jacobian_mean_square")
WIDEST = 128  # width up to which the Jacobian is measured; beyond, it takes minutes


@dataclass(frozen=True)
class Size:
    """At which depths the start is measured, and over how many seeds."""

    depths: tuple[int, ...]
    seeds: int


FULL, QUICK = Size((6, 12, 24), 5), Size((3, 6, 12), 3)


@dataclass(frozen=True)
class Measure:
    """One number of the start.

    of: rows of the statistic of one variant → one value per seed. meaning: what its values predict. statistic: what it
    reads. kind: see normexp.studies.verdict.
    """

    name: str
    meaning: str
    of: Callable[[pd.DataFrame], list[float]]
    statistic: str
    kind: str = "difference"


def _deepest(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["depth"] == rows["depth"].max()]


def _slope(rows: pd.DataFrame) -> list[float]:
    return per_seed(_deepest(rows), lambda seed: rate(seed["layer"], seed["value"]))


def _growth(rows: pd.DataFrame) -> list[float]:
    return per_seed(rows, lambda seed: exponent(seed["depth"], seed["value"]))


def _residual(rows: pd.DataFrame) -> list[float]:
    deepest = _deepest(rows)
    return per_seed(deepest[deepest["layer"] == deepest["layer"].max()], lambda seed: float(seed["value"].iloc[0]))


def _jacobian(rows: pd.DataFrame) -> list[float]:
    return [abs(math.log(value)) if value else math.inf for value in rows.sort_values("seed")["value"]]


MEASURES = (
    Measure(
        "Jacobian",
        "the absolute logarithm of the mean squared singular value of the deepest stack's Jacobian. At 0 signals and "
        "gradients keep their size through the stack (Pennington et al. 2017).",
        _jacobian,
        "jacobian_mean_square",
    ),
    Measure(
        "gradient slope",
        "slope of the logarithm of the stream's gradient over the layers of the deepest stack. At 0 all layers get "
        "gradients of one size; above 0 they vanish towards the first layer (Liu et al. 2020). Where the stream grows, "
        "its gradient shrinks by that alone.",
        _slope,
        "stream_grad_norm",
    ),
    Measure(
        "output shift",
        "the power p in: noise on the weights moves the output by depthᵖ. Near 0 depth does not amplify an "
        "update; near 1 every layer adds to it, and warm-up is needed (Liu et al. 2020, Theorem 2).",
        _growth,
        "output_shift",
    ),
    Measure(
        "rank residual",
        "how far the tokens of a text are from their mean after the last layer, relative to their size. At 0 they have "
        "collapsed, and attention learns nothing (Dong et al. 2021).",
        _residual,
        "rank_residual",
        "ratio",
    ),
)


@dataclass(frozen=True)
class Reading:
    """A measure of the variant and of its peers, by name, with the peer that the variant is closer to."""

    measure: Measure
    values: dict[str, Interval]
    closer: str


def measure(about: Subject, size: Size, say: Callable[[str], None] = lambda text: None) -> pd.DataFrame:
    """One row per value: variant, depth, seed, stack, layer, statistic, value; of the last stack of each model.

    The settings are those of the subject, for pre_ln and post_ln without the options of its variant. Layer values are
    those after the last site of the layer.
    """
    frames = []
    for name in dict.fromkeys((about.name, *PEERS)):
        own = about.overrides if name == about.name else [*about.shared, f"variant={name}"]
        config = plan("train", own, config_dirs=about.config_dirs).runs[0].config
        say(f"measuring the start of {name}, {size.seeds} seeds, depths {', '.join(map(str, size.depths))}")
        for depth in size.depths:
            for seed in range(config.seed, config.seed + size.seeds):
                sized = _sized(config, depth, seed)
                rows = _measured(sized, whole=depth == max(size.depths))
                frames.append(rows.assign(variant=name, depth=depth, seed=seed))
    columns = ["variant", "depth", "seed", "stack", "layer", "statistic", "value"]
    return pd.concat(frames, ignore_index=True)[columns]


def _sized(config: Config, depth: int, seed: int) -> Config:
    training = replace(config.training, device="cpu", compile=False)
    size = replace(config.model, encoder_depth=depth, decoder_depth=depth)
    return replace(config, depth=depth, seed=seed, model=size, training=training)


def _measured(config: Config, whole: bool) -> pd.DataFrame:
    """whole: with the Jacobian of the stack, which takes longer than the rest."""
    trainer = Trainer(config, load_corpus(config.data)).calibrate()
    context = trainer.probe_context(next(trainer.data()))
    probes: list[Probe] = [StreamGradient(), OutputShift(draws=4), TokenSimilarity()]
    probes += [StackJacobian()] if whole and config.model.width <= WIDEST else []
    rows = pd.concat([probe.measure(context).frame(0) for probe in probes], ignore_index=True)
    stack = trainer.model.stacks[-1]
    last = stack.sites_by_layer[0][-1].name.rpartition(".")[2]
    kept = rows["statistic"].isin(KEPT) & (rows["stack"] == stack.shape.stack) & rows["site"].isin(["", last])
    return rows[kept]


def readings(rows: pd.DataFrame, name: str) -> list[Reading]:
    """The measures of a variant and its peers, from the table of `measure`; those that it has."""
    found = []
    for each in MEASURES:
        values = {
            str(variant): interval(each.of(part), -math.inf, math.inf, each.kind)
            for variant, part in rows[rows["statistic"] == each.statistic].groupby("variant", sort=False)
        }
        if not values:
            continue
        own = rows.loc[(rows["statistic"] == each.statistic) & (rows["variant"] == name), "value"]
        found.append(Reading(each, values, _closer(each, values, name) or f"cannot be measured ({_missing(own)})"))
    return found


def _missing(values: pd.Series) -> str:
    """Why these values of a variant have no interval."""
    if len(values) and (values == 0).all():
        return "it is 0, of which there is no logarithm"
    return "the loss does not use the tensor that probes call the stream" if values.isna().any() else "it is not finite"


def _closer(measure: Measure, values: dict[str, Interval], name: str) -> str:
    """The peer on whose side of the middle between both the whole interval of the variant is; else why there is none.

    Peers whose intervals overlap, or that have none, decide nothing. Empty if the variant has no interval.
    """
    if name in PEERS:
        return name
    one, other = (values[peer] for peer in PEERS)
    at = values[name]
    if not np.isfinite([at.low, at.high]).all():
        return ""
    if not np.isfinite([one.low, one.high, other.low, other.high]).all():
        return "cannot tell (pre_ln or post_ln cannot be measured)"
    if one.low <= other.high and other.low <= one.high:
        return "cannot tell (pre_ln and post_ln do not differ here)"
    ends = one.estimate, other.estimate
    middle = math.sqrt(ends[0] * ends[1]) if measure.kind == "ratio" and min(ends) > 0 else sum(ends) / 2
    if at.low <= middle <= at.high:
        return "cannot tell (between pre_ln and post_ln)"
    return PEERS[(at.estimate > middle) == (other.estimate > one.estimate)]


def text(at: Interval) -> str:
    """0.031 [0.027, 0.035]; – where it cannot be measured."""
    if not math.isfinite(at.estimate):
        return "–"
    return f"{at.estimate:.3g} [{at.low:.3g}, {at.high:.3g}]" if math.isfinite(at.low) else f"{at.estimate:.3g}"


def sentences(found: Sequence[Reading], name: str) -> Iterator[str]:
    """One sentence per measure, and what its values mean."""
    for each in found:
        verdict = f"closer to {each.closer}" if each.closer in PEERS else each.closer
        yield f"{each.measure.name}{'' if name in PEERS else f', {verdict}'}: {each.measure.meaning}"
