"""Where the norm sits decides how large the gradients near the output are when training starts."""

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import (
    FC2_BY_LAYER,
    LOSS_BY_STEP,
    REDUCIBLE,
    drawn_losses,
    fc2_gradients,
    last_fc2_gradient,
    power_law,
)
from normexp.studies.statistics import (
    differences,
    exponent,
    finals,
    fits,
    paired,
    per_seed,
    rate,
    reducible,
    relative_gap,
    steps_to,
    values_by_seed,
)
from normexp.studies.study import Study
from normexp.studies.windows import HIGHER_LOSS, LOWER_LOSS, SAME_LOSS, at_least, at_most, exponent_of, within
from normexp.views.grid import where

BY_DEPTH = "exponent p of gradient ∝ depth^p"
BY_LAYER = "r of gradient ∝ e^(r·layer), decoder of 6 layers"
RISE = f"rise of the final loss without warm-up, {REDUCIBLE}"


class Xiong2020(Control, Study):
    paper = "xiong2020"

    @figure(
        "figure 3c, d",
        title="Gradient of the last feed-forward matrix against depth",
        x="depth",
        label="gradient norm",
        x_label="layers in encoder and decoder",
        log="xy",
        caption="Frobenius norm of the loss gradient of fc2 in the last decoder layer, at initialisation.",
    )
    def last_gradient(self) -> Drawn:
        rows = last_fc2_gradient(self.runs["size"])
        return rows, {"lines": {"∝ 1/√depth": power_law(where(rows, variant="pre_ln"), "depth", -0.5)}}

    @figure("figure 3a, b", title="Gradient of fc2 by layer", **FC2_BY_LAYER)
    def layer_gradients(self) -> Drawn:
        rows = fc2_gradients(self.runs["size"])
        return rows[rows["depth"].isin((rows["depth"].min(), rows["depth"].max()))]

    @figure(
        "lemma 2",
        title="Squared norm of a layer's output",
        x="layer",
        label="‖x‖²/width",
        caption="Mean squared norm over width, at initialisation, in the paper's simplified setting. post_ln: input of "
        "the norm after the feed-forward, in theory 3/2; pre_ln: the stream after layer l, in theory between x₀ + l/2 "
        "and x₀ + 3l/2. Positions are added to the embedding, so x₀ is 1.5 here where the paper has 1.",
    )
    def hidden_norm(self) -> Drawn:
        rows = self.runs["lemma"].layers("stream_norm", "sum_norm", site="feed_forward")
        rows = rows[rows["statistic"] == rows["variant"].map({"post_ln": "sum_norm", "pre_ln": "stream_norm"})]
        start = float(self.runs["lemma"].layers("stream_norm", layer=0)["value"].mean())
        theory = {
            "3/2": lambda layer: 1.5 + 0 * layer,
            "x₀ + l/2": lambda layer: start + layer / 2,
            "x₀ + 3l/2": lambda layer: start + 3 * layer / 2,
        }
        return rows, {"lines": theory}

    @figure("figure 2", title="Training loss without and with warm-up", column="warmup", **LOSS_BY_STEP)
    def warmup(self) -> Drawn:
        return drawn_losses(self.runs["warmup"])

    @claim("theorem 1 and figure 3c", BY_DEPTH, exponent_of(0, "theory"))
    def post_flat(self) -> Values:
        """Post-LN's gradient near the output does not depend on the depth."""
        return self._by_depth("post_ln")

    @claim("theorem 1 and figure 3d", BY_DEPTH, at_most(-0.35, "exponent", "pilot"))
    def pre_falls(self) -> Values:
        """Pre-LN's gradient near the output falls with the depth."""
        return self._by_depth("pre_ln")

    @claim("theorem 1", BY_DEPTH, exponent_of(-0.5, "theory"))
    def pre_falls_like_root(self) -> Values:
        """Pre-LN's gradient near the output falls like one over the root of the depth."""
        return self._by_depth("pre_ln")

    @claim(
        "theorem 1 and figure 3d",
        "gradient of the last fc2: 14 layers / 6 layers",
        within(0.45, 0.75, "ratio", "pilot"),
    )
    def pre_14_to_6(self) -> Values:
        """Pre-LN's gradient near the output of 14 layers is about two thirds of that of 6 layers."""
        rows = last_fc2_gradient(self.runs["size"], variant="pre_ln")
        return list(values_by_seed(rows, depth=14) / values_by_seed(rows, depth=6))

    @claim("figure 3a", BY_LAYER, at_least(0.15, "exponent", "pilot"))
    def post_grows(self) -> Values:
        """Post-LN's gradient grows from layer to layer towards the output."""
        rows = fc2_gradients(self.runs["size"], depth=6, stack="decoder", variant="post_ln")
        return fits(rows, rate, "layer")

    @claim("figure 3b", "exponent p of gradient ∝ layer^p, decoder of 6 layers", exponent_of(0, "convention"))
    def pre_even(self) -> Values:
        """Pre-LN's gradient is about the same in every layer."""
        rows = fc2_gradients(self.runs["size"], depth=6, stack="decoder", variant="pre_ln")
        return fits(rows, exponent, "layer")

    @claim(
        "lemma 2",
        "squared norm over 3/2 of the width, mean over the layers",
        within(0.95, 1.05, "equivalence", "theory"),
    )
    def lemma_post(self) -> Values:
        """The input of Post-LN's norm after a feed-forward has an expected squared norm of 3/2 times the width."""
        sums = where(self.runs["lemma"].layers("sum_norm", site="feed_forward"), variant="post_ln")
        return per_seed(sums, lambda seed: float(seed["value"].mean() / 1.5))

    @claim(
        "the concentration that the proof of theorem 1 takes from lemma 2",
        "exponent p of standard deviation over mean of the squared norm, of the layers, ∝ width^p",
        exponent_of(-0.5, "theory"),
        own=True,
    )
    def lemma_scatters(self) -> Values:
        """The squared norm of the inputs of Post-LN's norms scatters by one over the root of the width."""

        def scatter(seed: pd.DataFrame) -> float:
            by_width = seed.groupby("model.width")["value"]
            shares = by_width.std() / by_width.mean()
            return exponent(shares.index, shares)

        return per_seed(self.runs["width"].layers("sum_norm", site="feed_forward"), scatter)

    @claim(
        "lemma 2",
        "distance outside the band, as a share of its edge (below 0: inside)",
        at_most(0.05, "level", "theory"),
    )
    def lemma_pre(self) -> Values:
        """Pre-LN's stream grows with the layer l by between l/2 and 3l/2 times the width."""

        def outside(seed: pd.DataFrame) -> float:
            start = float(where(seed, layer=0)["value"].iloc[0])
            at = where(seed, site="feed_forward").set_index("layer")["value"]
            layer = at.index.to_numpy()
            above, below = at / (start + 1.5 * layer) - 1, 1 - at / (start + 0.5 * layer)
            return float(max(above.max(), below.max()))

        return per_seed(where(self.runs["lemma"].layers("stream_norm"), variant="pre_ln"), outside)

    @claim("figure 2", RISE, HIGHER_LOSS)
    def warmup_post(self) -> Values:
        """Post-LN ends at a far higher loss without warm-up than with it."""
        return self._rise("post_ln")

    @claim("section 4.2", RISE, SAME_LOSS)
    def warmup_pre(self) -> Values:
        """Pre-LN trains without warm-up as well as with it."""
        return self._rise("pre_ln")

    @claim("figures 2 and 4", f"{RISE}: Post-LN − Pre-LN", HIGHER_LOSS)
    def warmup_differs(self) -> Values:
        """Leaving out warm-up costs Post-LN more than Pre-LN."""
        return differences(self._rise("post_ln"), self._rise("pre_ln"))

    @claim(
        "figure 4 (epoch 9 against epoch 15)",
        "steps to half of the position-only baseline: Pre-LN without warm-up / Post-LN with it",
        at_most(1, "ratio", "figure"),
    )
    def pre_faster(self) -> Values:
        """Pre-LN without warm-up reaches a given loss sooner than Post-LN with warm-up."""
        curves, frame = self.runs["warmup"].curves("nll", split="train"), self.runs["warmup"].frame
        level = float(frame["baseline.position_only"].iloc[0]) / 2

        def steps(variant: str, warmup: str) -> pd.Series:
            rows = where(curves, variant=variant, warmup=warmup)
            return pd.Series({seed: steps_to(part, level) for seed, part in rows.groupby("seed")})

        return list(steps("pre_ln", "0") / steps("post_ln", "10%"))

    @claim("figure 4", f"final loss without warm-up: RAdam − Adam, {REDUCIBLE}", LOWER_LOSS, exploratory=True)
    def radam_post(self) -> Values:
        """RAdam lowers the loss at which Post-LN ends without warm-up."""
        frame = self.runs["warmup"].frame
        radam = finals(self.runs["radam"].frame, variant="post_ln")
        return [gap / reducible(frame) for gap in paired(radam, finals(frame, variant="post_ln", warmup="0"))]

    def _by_depth(self, variant: str) -> Values:
        rows = last_fc2_gradient(self.runs["size"], variant=variant)
        return fits(rows, exponent, "depth")

    def _rise(self, variant: str) -> list[float]:
        """Of the final loss without warm-up, by seed."""
        cold, warm = ({"variant": variant, "warmup": warmup} for warmup in ("0", "10%"))
        return relative_gap(self.runs["warmup"].frame, cold, warm)
