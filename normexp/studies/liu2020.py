"""How much the output moves with the weights, and how much each layer relies on its own branch."""

from typing import Any

import numpy as np
import pandas as pd

from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import GEOMETRIC, fc2_gradients
from normexp.studies.statistics import exponent, per_seed, r_squared, rate, ratio, trained, values_by_seed
from normexp.studies.study import Runs, Study
from normexp.views.grid import where
from normexp.views.heat_map import heat_map
from normexp.views.histogram import histogram

SLOPE = "exponent p of output change ∝ sub-layers^p"
SHARE = "variance of the own branch over that of the stream, mean over the sub-layers"
TRAINED = "share of the runs that are trained, 18 layers"
MAPS: dict[str, Any] = {
    "draw": heat_map,
    "x": "branch",
    "y": "stream",
    "label": "share",
    "x_label": "branch j",
    "y_label": "stream i",
    "caption": "Share (as a standard deviation) of branch j in the stream after sub-layer i, at initialisation; 0 is "
    "the embedding. Mean over the seeds.",
}


class Liu2020(Study):
    citation = "Liu et al. 2020"
    title = "Understanding the Difficulty of Training Transformers (Admin)"

    @figure(
        "figure of output changes",
        title="How far the output moves when the weights are perturbed",
        x="sub-layers",
        label="‖f(x, W + δ) − f(x, W)‖²",
        log="xy",
        caption="Mean squared distance per token between the outputs of an encoder before and after every matrix gets "
        f"Gaussian noise of standard deviation 1e-3, at initialisation. {GEOMETRIC}",
    )
    def output_shift(self) -> Drawn:
        return shifts(self.runs["shift"])

    @figure(
        "histogram",
        title="Relative gradient norms of the stream at 18 layers",
        draw=histogram,
        label="relative gradient norm",
        caption="Norm of the loss gradient of the stream after every sub-layer, over the largest of its network, at "
        "initialisation; all seeds.",
    )
    def relative_gradients(self) -> Drawn:
        return where(relative(self.runs["gradients"]), depth=18)

    @figure("dependency maps", title="Residual dependency, 6 layers", **MAPS)
    def dependency_6(self) -> Drawn:
        return dependency_map(self.runs["dependency"], 6)

    @figure("dependency maps", title="Residual dependency, 18 layers", **MAPS)
    def dependency_18(self) -> Drawn:
        return dependency_map(self.runs["dependency"], 18)

    @figure(
        title="Dependency on the own branch in training, decoder of 18 layers",
        x="site",
        column="step",
        label="Var F / Var x",
        log="y",
        caption="Share of a sub-layer's own branch in the variance of the stream after it, at the first and at the "
        f"last step. {GEOMETRIC}",
    )
    def dependency_in_training(self) -> Drawn:
        return positions_of_sites(self.runs["deep"].layers("dependency", parameter="", stack="decoder"))

    @claim("theorem 2", SLOPE, kind="exponent", at_least=0.8, source="theory")
    def shift_post(self) -> Values:
        """The change of Post-LN's output under a perturbation of the weights grows in proportion to the depth."""
        return self._slope("post_ln")

    @claim("theorem 2", f"{SLOPE}: Post-LN − Pre-LN", kind="exponent", at_least=0.25, source="pilot")
    def shift_pre(self) -> Values:
        """The change of Pre-LN's output grows more slowly with the depth than that of Post-LN's."""
        return [post - pre for post, pre in zip(self._slope("post_ln"), self._slope("pre_ln"), strict=True)]

    @claim(
        "section 5 and figure of output changes",
        f"distance between Admin's and Pre-LN's {SLOPE}",
        kind="equivalence",
        at_most=0.15,
        source="pilot",
    )
    def shift_admin(self) -> Values:
        """The change of Admin's output grows with the depth like that of Pre-LN's."""
        return [abs(admin - pre) for admin, pre in zip(self._slope("admin"), self._slope("pre_ln"), strict=True)]

    @claim("figure of output changes", "output change: Post-LN / Pre-LN", kind="ratio", at_least=2, source="pilot")
    def shift_64(self) -> Values:
        """At 64 sub-layers Post-LN's output moves several times as far as Pre-LN's."""
        post, pre = (values_by_seed(shifts(self.runs["shift"]), variant=v, depth=32) for v in ("post_ln", "pre_ln"))
        return list(post / pre)

    @claim(
        "theorem 2",
        "R² of a line over log sub-layers − R² of a line over sub-layers",
        kind="difference",
        at_least=0,
        source="theory",
    )
    def shift_log(self) -> Values:
        """The change of Pre-LN's output grows with the logarithm of the depth rather than with the depth."""

        def log_beats_line(seed: pd.DataFrame) -> float:
            x, y = seed["sub-layers"], seed["value"]
            return r_squared(np.log(x), y) - r_squared(x, y)

        return per_seed(where(shifts(self.runs["shift"]), variant="pre_ln"), log_beats_line)

    @claim("section 3.2", "r of gradient ∝ e^(r·layer), decoder of 18 layers", kind="exponent", at_least=0.15,
           source="pilot")  # fmt: skip
    def decoder_vanishes(self) -> Values:
        """The gradients of a Post-LN decoder vanish towards its input."""
        rows = fc2_gradients(self.runs["gradients"], depth=18, variant="post_ln", stack="decoder")
        return per_seed(rows, lambda seed: rate(seed["layer"], seed["value"]))

    @claim("theorem 1", "largest over smallest norm, encoder of 18 layers", kind="ratio", at_most=3, source="pilot")
    def encoder_does_not(self) -> Values:
        """The gradients of a Post-LN encoder do not vanish towards its input."""
        rows = fc2_gradients(self.runs["gradients"], depth=18, variant="post_ln", stack="encoder")
        return per_seed(rows, lambda seed: ratio(seed["value"]))

    @claim("section 4.1", SHARE, kind="level", within=(0.15, 0.4), source="pilot")
    def dependency_post(self) -> Values:
        """A Post-LN layer takes a third to a half of its variance from its own branch at every depth."""
        return self._mean_share("post_ln")

    @claim("section 4.1", "largest factor between share × i and its geometric mean", kind="ratio", at_most=2,
           source="theory")  # fmt: skip
    def dependency_pre(self) -> Values:
        """The share of a Pre-LN sub-layer's own branch falls like 1/i with its position i."""

        def off_one_over_i(seed: pd.DataFrame) -> float:
            values = np.log(seed["value"].to_numpy() * seed["site"].to_numpy())
            return float(np.exp(np.abs(values - values.mean()).max()))

        return per_seed(self._shares("pre_ln"), off_one_over_i)

    @claim("section 5 and maps of 18 layers", f"{SHARE}: Admin / Pre-LN", kind="ratio", within=(0.5, 2),
           source="convention")  # fmt: skip
    def dependency_admin(self) -> Values:
        """At initialisation Admin relies on its branches as little as Pre-LN does."""
        return [a / p for a, p in zip(self._mean_share("admin"), self._mean_share("pre_ln"), strict=True)]

    @claim("table of WMT'14", TRAINED, kind="share", at_most=0, source="figure")
    def post_18(self) -> Values:
        """Post-LN of 18 layers does not train."""
        return trained(self.runs["deep"].frame, variant="post_ln")

    @claim("table of WMT'14", TRAINED, kind="share", at_least=1, source="figure")
    def admin_18(self) -> Values:
        """Admin of 18 layers trains."""
        return trained(self.runs["deep"].frame, variant="admin")

    @claim(
        "maps of 18 layers after training",
        "mean share of the own branch in the decoder: Admin / Pre-LN",
        kind="ratio",
        at_least=1,
        source="figure",
    )
    def admin_relies(self) -> Values:
        """After training Admin relies more on its branches than Pre-LN does."""
        rows = self.runs["deep"].layers("dependency", stack="decoder", parameter="")
        last = where(rows, step=rows["step"].max())
        admin, pre = (where(last, variant=v).groupby("seed")["value"].mean() for v in ("admin", "pre_ln"))
        return list(admin / pre)

    @claim(
        "section 3.3",
        "largest over smallest gradient of fc2 in the decoder, over the same of the updates",
        kind="ratio",
        at_least=10,
        source="convention",
    )
    def adam_balances(self) -> Values:
        """Adam's updates are of one size in every layer where Post-LN's gradients vanish."""
        rows = self.runs["deep"].layers(
            "grad_norm", "update_norm", stack="decoder", site="feed_forward", parameter="fc2.weight", step=1
        )

        def balance(seed: pd.DataFrame) -> float:
            gradients, updates = (where(seed, statistic=name)["value"] for name in ("grad_norm", "update_norm"))
            return ratio(gradients) / ratio(updates)

        return per_seed(where(rows, variant="post_ln"), balance)

    def _slope(self, variant: str) -> list[float]:
        rows = where(shifts(self.runs["shift"]), variant=variant)
        return per_seed(rows, lambda seed: exponent(seed["sub-layers"], seed["value"]))

    def _shares(self, variant: str) -> pd.DataFrame:
        """Of the own branch in the variance of the stream, encoder of 18 layers, `site` counting sub-layers."""
        rows = self.runs["dependency"].layers("dependency", stack="encoder", parameter="")
        return where(positions_of_sites(rows), depth=18, variant=variant)

    def _mean_share(self, variant: str) -> list[float]:
        return per_seed(self._shares(variant), lambda seed: float(seed["value"].mean()))


def shifts(runs: Runs) -> pd.DataFrame:
    """The change of every encoder's output, with its number of sub-layers."""
    rows = runs.layers("output_shift", stack="encoder", layer=0)
    return rows.assign(**{"sub-layers": 2 * rows["depth"]})


def relative(runs: Runs) -> pd.DataFrame:
    """The relative gradient norm of the stream after every sub-layer."""
    return runs.layers("stream_grad_relative")


def dependency_map(runs: Runs, depth: int) -> pd.DataFrame:
    """The dependency map of encoders of a depth, with `stream` and `branch` as positions, the embedding as 0."""
    maps = where(runs.layers("dependency_map", stack="encoder"), depth=depth)
    rows = positions_of_sites(maps).rename(columns={"site": "stream"})
    kinds = list(dict.fromkeys(maps["site"]))
    places = {"embedding": 0} | {
        name: (int(name.split(".")[1]) - 1) * len(kinds) + kinds.index(name.rpartition(".")[2]) + 1
        for name in rows["parameter"].unique()
        if name != "embedding"
    }
    return rows.assign(branch=rows["parameter"].map(places)).sort_values(["stream", "branch"], kind="stable")


def positions_of_sites(rows: pd.DataFrame) -> pd.DataFrame:
    """The same with `site` as its position in the stack, from 1; of several steps the first and the last."""
    kinds = {kind: place for place, kind in enumerate(dict.fromkeys(rows["site"]))}
    place = (rows["layer"] - 1) * len(kinds) + rows["site"].map(kinds) + 1
    ends = rows["step"].isin((rows["step"].min(), rows["step"].max()))
    return rows.assign(site=place)[ends]
