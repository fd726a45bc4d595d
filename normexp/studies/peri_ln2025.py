"""Norms on both sides of a branch: how the stream grows, how large its entries get, whether the loss spikes."""

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import after_training, drawn_regret, loss_curves
from normexp.studies.statistics import (
    best_valid_lr,
    differences,
    fits,
    line,
    linear_over_exponential,
    paired,
    per_seed,
    reducible,
    spikes,
    valid_loss,
)
from normexp.studies.study import Study
from normexp.studies.windows import LOWER, at_least, at_most, within
from normexp.views.grid import where

PERI, PRE = "peri_ln", "pre_ln"
GROWTH = "figure of the variance by layer"
RATES = "figure of the loss over the learning rate"
SPIKES = "figure of gradients and losses in training"
SHARE = "validation loss as a share of blind loss − floor"
PER_SITE = "variance that a sub-layer adds to the stream (slope over the sub-layers)"


class PeriLN2025(Control, Study):
    paper = "kim2025"

    @figure(
        GROWTH,
        title="Variance of the stream",
        x="layer",
        column="moment",
        label="‖x‖²/width",
        log="y",
        caption="Mean squared norm over width of the stream after every layer: at width 512 and of 20 seeds at the "
        "start; at width 64, the highest learning rate and of 5 seeds after training.",
    )
    def growth(self) -> Drawn:
        start = self.runs["start"].layers("stream_norm", site="feed_forward").assign(moment="at the start")
        return pd.concat([start, self._after("stream_norm").assign(moment="after training")])

    @figure(
        "figure of massive activations",
        title="Largest entry of the stream",
        x="layer",
        label="largest |entry|",
        log="y",
        caption="Over all tokens of a batch, after training at the highest learning rate. float16 ends at 65,504.",
    )
    def activations(self) -> Drawn:
        return self._after("activation_max")

    @figure(RATES, title="Validation loss over the learning rate", x="lr")
    def losses(self) -> Drawn:
        rows = self.runs["runs"].frame.assign(value=self.runs["runs"].frame["valid_loss"].astype(float))
        return drawn_regret(rows, rows, "Loss on the validation part, after the last step.", "x")

    @figure(SPIKES, title="Training loss", x="step", column="lr", label="nats per token")
    def curves(self) -> Drawn:
        return loss_curves(self.runs["runs"], window=5), {"caption": "Mean over 5 steps of the training loss."}

    @claim(
        "proposition on the variance", f"{PER_SITE}, Peri-LN, at the start", within(0.9, 1.1, "equivalence", "theory")
    )
    def peri_adds_one(self) -> Values:
        """At initialisation, every sub-layer of Peri-LN adds a variance of 1 to the stream."""
        rows = where(self.runs["start"].layers("stream_norm"), variant=PERI)
        return per_seed(rows, variance_per_site)

    @claim(
        GROWTH,
        "R² of a line through the variance over the layers − R² of an exponential, Peri-LN, after training at the "
        "highest rate",
        at_least(0, "difference", "figure"),
    )
    def peri_ends_linear(self) -> Values:
        """After training, the variance of a Peri-LN stream grows linearly with the layer, not exponentially."""
        rows = where(self._after("stream_norm"), variant=PERI)
        return fits(rows, linear_over_exponential, "layer")

    @claim(
        "figure of massive activations",
        "largest |entry| of the stream after training at the highest rate: Pre-LN / Peri-LN",
        at_least(1, "ratio", "figure"),
    )
    def pre_has_larger_entries(self) -> Values:
        """The largest activations of a trained Pre-LN stack are larger than those of Peri-LN."""
        pre, peri = (per_seed(where(self._after("activation_max"), variant=name), largest) for name in (PRE, PERI))
        return [a / b for a, b in zip(pre, peri, strict=True)]

    @claim(
        SPIKES,
        "share of the steps whose loss is a spike, at the highest rate: Peri-LN − Pre-LN",
        at_most(0, "difference", "figure"),
    )
    def peri_spikes_less(self) -> Values:
        """The training loss of Peri-LN has fewer spikes than that of Pre-LN."""
        curves = self.runs["runs"].curves("nll", split="train")
        curves = where(curves, lr=curves["lr"].max())
        peri, pre = (per_seed(where(curves, variant=name), share_of_spikes) for name in (PERI, PRE))
        self.needs("at least one run has a spike.", any(share > 0 for share in (*peri, *pre)))
        return differences(peri, pre)

    @claim(RATES, f"{SHARE}, each at its best rate: Peri-LN − Pre-LN", LOWER)
    def peri_lower_loss(self) -> Values:
        """Peri-LN ends at a lower loss than Pre-LN."""
        frame = self.runs["runs"].frame
        peri, pre = ({"variant": name, "lr": best_valid_lr(where(frame, variant=name))} for name in (PERI, PRE))
        return self.valid_gap(frame, peri, pre)

    @claim(RATES, f"{SHARE}: mean over the rates − best rate, Peri-LN − Pre-LN", LOWER)
    def peri_less_sensitive(self) -> Values:
        """The loss of Peri-LN depends less on the learning rate than that of Pre-LN."""
        costs = [self._cost_of_other_rates(name) for name in (PERI, PRE)]
        return paired(*costs)

    def _after(self, statistic: str) -> pd.DataFrame:
        """The rows after every layer, after training at the highest rate."""
        rows = self.runs["runs"].layers(statistic, site="feed_forward")
        return where(after_training(rows), lr=rows["lr"].max())

    def _by_rate(self, variant: str) -> pd.DataFrame:
        """Validation losses, one row per seed and one column per rate."""
        frame = self.runs["runs"].frame
        losses = {lr: valid_loss(frame, variant=variant, lr=lr) for lr in sorted(frame["lr"].unique())}
        return pd.DataFrame(losses)

    def _cost_of_other_rates(self, variant: str) -> pd.Series:
        losses = self._by_rate(variant)
        return (losses.mean(axis=1) - losses.min(axis=1)) / reducible(self.runs["runs"].frame)


def variance_per_site(seed: pd.DataFrame) -> float:
    """The slope of the variance over the number of the sub-layer; layer 0 is before the first."""
    ordered = seed.assign(second=seed["site"] == "feed_forward").sort_values(["layer", "second"])
    return line(range(len(ordered)), ordered["value"])[0]


def largest(seed: pd.DataFrame) -> float:
    return float(seed["value"].max(skipna=False))


def share_of_spikes(seed: pd.DataFrame) -> float:
    return spikes(seed.sort_values("step")["value"])
