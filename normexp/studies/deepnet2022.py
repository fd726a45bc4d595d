"""Post-LN fails because its first updates are too large; a heavier skip and lighter branches bound them."""

import numpy as np
import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import LOSS_BY_STEP, REDUCIBLE, drawn_losses, last_fc2_gradient
from normexp.studies.statistics import (
    differences,
    exponent,
    fits,
    per_seed,
    ratio,
    relative_gap,
    trained,
    values_by_seed,
)
from normexp.studies.study import Runs, Study
from normexp.studies.windows import HIGHER_LOSS, LOWER, LOWER_LOSS, MOST, at_least, at_most
from normexp.views.grid import where

TIED = "model.tied"
TYING = f"final loss, tied − untied output matrix, {REDUCIBLE}"
SPREAD = "largest over smallest change, 6 to 48 layers"


class DeepNet2022(Control, Study):
    paper = "wang2022_deepnet"

    @figure(
        "figure 5",
        title="How far one step moves the output, against depth",
        x="depth",
        column="part",
        label="‖ΔF‖ of one step",
        x_label="layers in encoder and decoder",
        log="xy",
        caption="Mean distance per token between the decoder's outputs before and after one step of gradient descent "
        "at lr 1e-3, from the initial weights; of all parameters, or of the sub-layers' matrices alone.",
    )
    def update_and_depth(self) -> Drawn:
        parts = {"update": "all parameters", "matrices": "matrices alone"}
        shown = {part: name for part, name in parts.items() if part in self.runs}
        return pd.concat([updates(self.runs[part]).assign(part=name) for part, name in shown.items()])

    @figure(
        "figure 4a",
        title="Distance of the output from its start in the first steps, 18 layers",
        x="step",
        label="‖F(x, θₜ) − F(x, θ₀)‖",
        log="y",
        caption="Mean distance per token between the decoder's outputs now and with its initial weights.",
    )
    def model_update(self) -> Drawn:
        rows = self.runs["first"].layers("model_update", stack="decoder")
        return rows[rows["value"] != 0]

    @figure(
        "figure 4b",
        title="Squared norm of stream + branch in the decoder, 18 layers",
        x="step",
        column="site",
        label="‖x + F(x)‖²/width",
        log="y",
        caption="Mean squared norm over width of stream + branch, without factors that a variant puts on them, mean "
        "over the layers; it is the input of the norm in Post-LN.",
    )
    def norm_inputs(self) -> Drawn:
        rows = self.runs["first"].layers("sum_norm", stack="decoder")
        return rows.groupby(["variant", "seed", "step", "site"], sort=False)["value"].mean().reset_index()

    @figure("figure 3c", title="Post-LN of 18 layers with smaller lower layers", colour="init", **LOSS_BY_STEP)
    def loss(self) -> Drawn:
        return drawn_losses(self.runs["small"])

    @claim("theorem 4.2 and figure 5", SPREAD, at_most(3, "ratio", "convention"))
    def deepnorm_bounded(self) -> Values:
        """One step moves DeepNorm's output equally far at every depth."""
        return self._spread("update")

    @claim("theorem 4.2", SPREAD, at_most(3, "ratio", "convention"), exploratory=True)
    def deepnorm_bounded_matrices(self) -> Values:
        """One step of the sub-layers' matrices alone moves DeepNorm's output equally far at every depth."""
        return self._spread("matrices")

    @claim("figure 5", "exponent p of change ∝ depth^p", at_least(0.5, "exponent", "convention"))
    def post_grows(self) -> Values:
        """One step moves Post-LN's output farther the deeper the stack is."""
        rows = where(updates(self.runs["update"]), variant="post_ln")
        return fits(rows, exponent, "depth")

    @claim("figure 3b", "gradient of the last fc2: smaller lower layers / Xavier", at_least(1, "ratio", "figure"))
    def larger_gradient(self) -> Values:
        """Smaller lower layers make the gradient in Post-LN's last layer larger."""
        last = last_fc2_gradient(self.runs["init"])
        return list(values_by_seed(last, init="post_ln_init") / values_by_seed(last, init="xavier_normal"))

    @claim("figure 3c", f"final loss at 18 layers: smaller lower layers − Xavier, {REDUCIBLE}", LOWER_LOSS)
    def yet_trains(self) -> Values:
        """Smaller lower layers make Post-LN train better."""
        return relative_gap(self.runs["small"].frame, {"init": "post_ln_init"}, {"init": "xavier_normal"})

    @claim("table 1", "share of the runs that are trained, 18 layers, untied output matrix", MOST, exploratory=True)
    def deepnorm_18(self) -> Values:
        """DeepNorm of 18 layers trains."""
        return trained(self.runs["untied"].frame, variant="deep_norm")

    @claim(
        "table 1 (28.8 against 28.1 BLEU)",
        f"final loss at 18 layers, untied output matrix: DeepNorm − Pre-LN, {REDUCIBLE}",
        LOWER,
    )
    def deepnorm_beats_pre(self) -> Values:
        """DeepNorm reaches a lower loss than Pre-LN where both train."""
        return self.ordering(self.runs["untied"].frame, {"variant": "deep_norm"}, {"variant": "pre_ln"})

    @claim(
        "figure 4a",
        "distance of the output from its start after one step of Adam: Post-LN / DeepNorm",
        at_least(10, "ratio", "pilot"),
        exploratory=True,
    )
    def post_jumps(self) -> Values:
        """Post-LN's output moves more than ten times as far as DeepNorm's in the first step of Adam."""
        rows = self.runs["first"].layers("model_update", stack="decoder", step=2)
        return list(values_by_seed(rows, variant="post_ln") / values_by_seed(rows, variant="deep_norm"))

    @claim(
        "figure 4b",
        "mean squared norm of stream + branch in the decoder, step 10 / step 1",
        at_least(1, "ratio", "figure"),
    )
    def inputs_grow(self) -> Values:
        """The inputs of Post-LN's norms grow when training begins."""

        def growth(seed: pd.DataFrame) -> float:
            means = seed.groupby("step")["value"].mean()
            return float(means.get(10, np.nan) / means[1])  # NaN where the run diverged before

        return per_seed(where(self.runs["first"].layers("sum_norm", stack="decoder"), variant="post_ln"), growth)

    @claim(
        "",
        "loss of the first step, tied − untied output matrix, nats per token",
        at_least(0, "difference", "convention"),
        exploratory=True,
        own=True,
    )
    def tied_starts_higher(self) -> Values:
        """DeepNorm starts at a higher loss when its output matrix is tied to the word vectors."""
        first = self.runs["tying"].curves("nll", split="train", step=1)
        tied, untied = (values_by_seed(first, variant="deep_norm", **{TIED: value}) for value in (True, False))
        return list(tied - untied)

    @claim("", f"{TYING}: DeepNorm", HIGHER_LOSS, exploratory=True, own=True)
    def tied_ends_higher(self) -> Values:
        """DeepNorm ends at a higher loss when its output matrix is tied to the word vectors."""
        return self._cost_of_tying("deep_norm")

    @claim("", f"{TYING}: DeepNorm − Pre-LN", HIGHER_LOSS, exploratory=True, own=True)
    def tied_costs_more(self) -> Values:
        """Tying the output matrix to the word vectors costs DeepNorm more than Pre-LN."""
        ours, pre = self._cost_of_tying("deep_norm"), self._cost_of_tying("pre_ln")
        return differences(ours, pre)

    def _cost_of_tying(self, variant: str) -> list[float]:
        tied, untied = ({"variant": variant, TIED: value} for value in (True, False))
        return relative_gap(self.runs["tying"].frame, tied, untied)

    def _spread(self, part: str) -> Values:
        rows = where(updates(self.runs[part]), variant="deep_norm")
        return per_seed(rows, lambda seed: ratio(seed["value"]))


def updates(runs: Runs) -> pd.DataFrame:
    """How far one step moves the decoder's output."""
    return runs.layers("update_shift_norm", stack="decoder", layer=0)
