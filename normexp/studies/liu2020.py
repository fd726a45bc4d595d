"""How much the output moves with the weights, and how much each layer relies on its own branch."""

from typing import Any

import numpy as np
import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import deep_runs, logarithm, power_law, stream_gradients
from normexp.studies.statistics import (
    differences,
    exponent,
    fits,
    per_seed,
    r_squared,
    rate,
    ratio,
    trained,
    values_by_seed,
)
from normexp.studies.study import Runs, Study
from normexp.studies.windows import FEW, MOST, at_least, at_most, exponent_of, within
from normexp.views.grid import where
from normexp.views.heat_map import heat_map
from normexp.views.histogram import histogram

SLOPE = "exponent p of output change ∝ sub-layers^p"
LOG_OR_LINE = "R² of a line over log sub-layers − R² of a line over sub-layers"
SHARE = "variance of the own branch over that of the stream, mean over the sub-layers"
TRAINED = "share of the runs that are trained, 18 layers, xavier_uniform init"
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


class Liu2020(Control, Study):
    paper = "liu2020"

    @figure(
        "figure of output changes",
        title="How far the output moves when the weights are perturbed",
        x="sub-layers",
        label="‖f(x, W + δ) − f(x, W)‖²",
        log="xy",
        caption="Mean squared distance per token between the outputs of an encoder before and after every matrix gets "
        "Gaussian noise of standard deviation 1e-3, at initialisation.",
    )
    def output_shift(self) -> Drawn:
        rows = shifts(self.runs["shift"])
        linear = power_law(where(rows, variant="post_ln"), "sub-layers", 1)
        return rows, {"lines": {"∝ N": linear, "∝ log N": logarithm(where(rows, variant="pre_ln"), "sub-layers")}}

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
        x="layer",
        column="step",
        row="site",
        label="Var F / Var x",
        log="y",
        caption="Share of a sub-layer's own branch in the variance of the stream after it, at the first and at the "
        "last step.",
    )
    def dependency_in_training(self) -> Drawn:
        parts = [runs.layers("dependency", parameter="", stack="decoder") for runs in deep_runs(self, "admin")]
        rows = pd.concat(parts)
        rows = rows[rows["step"].isin((rows["step"].min(), rows["step"].max()))]
        return rows.assign(site=rows["site"].str.replace("_", "-"))

    @claim("theorem 2", SLOPE, at_least(0.8, "exponent", "theory"))
    def shift_post(self) -> Values:
        """The change of Post-LN's output under a perturbation of the weights grows in proportion to the depth."""
        return self._slope("post_ln")

    @claim("theorem 2", f"{SLOPE}: Post-LN − Pre-LN", at_least(0.25, "exponent", "pilot"))
    def shift_pre(self) -> Values:
        """The change of Pre-LN's output grows more slowly with the depth than that of Post-LN's."""
        return differences(self._slope("post_ln"), self._slope("pre_ln"))

    @claim("section 5 and figure of output changes", f"{SLOPE}: Admin − Pre-LN", exponent_of(0, "convention"))
    def shift_admin(self) -> Values:
        """The change of Admin's output grows with the depth like that of Pre-LN's."""
        return differences(self._slope("admin"), self._slope("pre_ln"))

    @claim("figure of output changes", "output change: Post-LN / Pre-LN", at_least(2, "ratio", "pilot"))
    def shift_64(self) -> Values:
        """At 64 sub-layers Post-LN's output moves several times as far as Pre-LN's."""
        post, pre = (values_by_seed(shifts(self.runs["shift"]), variant=v, depth=32) for v in ("post_ln", "pre_ln"))
        return list(post / pre)

    @claim("theorem 2", LOG_OR_LINE, at_least(0, "difference", "theory"))
    def shift_log(self) -> Values:
        """The change of Pre-LN's output grows with the logarithm of the depth rather than with the depth."""
        return per_seed(where(shifts(self.runs["shift"]), variant="pre_ln"), log_or_line)

    @claim("theorem 2", LOG_OR_LINE, at_least(0, "difference", "theory"))
    def shift_log_admin(self) -> Values:
        """The change of Admin's output grows with the logarithm of the depth rather than with the depth."""
        return per_seed(where(shifts(self.runs["shift"]), variant="admin"), log_or_line)

    @claim("theorem 2", f"{SLOPE}: deeper half − shallower half of the depths", at_most(0, "exponent", "theory"))
    def shift_bends(self) -> Values:
        """The change of Pre-LN's output grows with the depth more slowly than any power law."""

        def bend(seed: pd.DataFrame) -> float:
            rows = seed.sort_values("sub-layers")
            halves = rows.iloc[: len(rows) // 2], rows.iloc[-(len(rows) // 2) :]
            shallow, deep = (exponent(half["sub-layers"], half["value"]) for half in halves)
            return deep - shallow

        return per_seed(where(shifts(self.runs["shift"]), variant="pre_ln"), bend)

    @claim(
        "figure of output changes",
        "exponent p of output change: Post-LN / Pre-LN ∝ sub-layers^p",
        at_least(0, "exponent", "figure"),
    )
    def shift_ratio_rises(self) -> Values:
        """The ratio of Post-LN's to Pre-LN's output change rises with the depth."""
        rows = shifts(self.runs["shift"]).pivot_table(index=["seed", "sub-layers"], columns="variant", values="value")
        ratios = (rows["post_ln"] / rows["pre_ln"]).rename("value").reset_index()
        return fits(ratios, exponent, "sub-layers")

    @claim(
        "section 3.2",
        "r of the stream's gradient ∝ e^(r·layer), decoder of 18 layers",
        at_least(0.15, "exponent", "pilot"),
    )
    def decoder_vanishes(self) -> Values:
        """The gradients of a Post-LN decoder vanish towards its input."""
        return fits(self._gradients("decoder"), rate, "layer")

    @claim(
        "section 3.2", "R² of the stream's log gradient on layer, decoder of 18 layers", at_least(0.9, "level", "pilot")
    )
    def decoder_exponential(self) -> Values:
        """The gradients of a Post-LN decoder vanish exponentially with the distance from its output."""
        return per_seed(self._gradients("decoder"), lambda seed: r_squared(seed["layer"], np.log(seed["value"])))

    @claim(
        "theorem 1",
        "gradient of the stream after the first layer over that after the last, encoder of 18 layers",
        at_least(1, "ratio", "theory"),
    )
    def encoder_does_not(self) -> Values:
        """The gradients of a Post-LN encoder do not vanish towards its input."""
        rows = self._gradients("encoder")
        return list(values_by_seed(rows, layer=1) / values_by_seed(rows, layer=18))

    @claim("section 4.1", SHARE, within(0.4, 0.6, "equivalence", "theory"))
    def dependency_post(self) -> Values:
        """A Post-LN sub-layer takes half of its variance from its own branch."""
        return per_seed(self._shares("post_ln"), lambda seed: float(seed["value"].mean()))

    @claim("section 4.1", "exponent p of the own branch's share ∝ position^p", exponent_of(0, "theory"))
    def dependency_post_even(self) -> Values:
        """The share of a Post-LN sub-layer's own branch is the same at every position of the stack."""
        return fits(self._shares("post_ln"), exponent, "site")

    @claim(
        "section 4.1",
        "exponent p of the own branch's share ∝ position^p, from the sixth on",
        within(-1.25, -0.75, "equivalence", "theory"),
        exploratory=True,
    )
    def dependency_pre(self) -> Values:
        """The share of a Pre-LN sub-layer's own branch falls like 1/i with its position i."""
        shares = self._shares("pre_ln")
        return fits(shares[shares["site"] >= 6], exponent, "site")

    @claim(
        "section 4.1",
        "largest distance of a row's sum of squares from 1, Post-LN and Pre-LN, 18 layers",
        at_most(0.05, "level", "theory"),
    )
    def dependency_rows(self) -> Values:
        """The squared dependencies of every stream on the branches of the layers below sum to one."""
        maps = self.runs["dependency"].layers("dependency_map", stack="encoder")
        maps = maps[maps["variant"].isin(("post_ln", "pre_ln")) & (maps["depth"] == 18)]
        rows = maps.assign(value=maps["value"] ** 2).groupby(["seed", "variant", "layer", "site"])["value"].sum()
        return per_seed(rows.reset_index(), lambda seed: float((seed["value"] - 1).abs().max()))

    @claim("table of WMT'14", TRAINED, FEW)
    def post_18(self) -> Values:
        """Post-LN of 18 layers does not train."""
        return trained(self.runs["deep"].frame, variant="post_ln")

    @claim("table of WMT'14", TRAINED, MOST)
    def admin_18(self) -> Values:
        """Admin of 18 layers trains."""
        return trained(deep_runs(self, "admin")[-1].frame, variant="admin")

    @claim(
        "maps of 18 layers after training",
        "mean share of the own branch in the decoder: Admin / Pre-LN",
        at_least(1, "ratio", "figure"),
    )
    def admin_relies(self) -> Values:
        """Admin relies more on its branches than Pre-LN does after training."""

        def mean_share(runs: Runs, variant: str) -> pd.Series:
            rows = where(runs.layers("dependency", stack="decoder", parameter=""), variant=variant)
            return where(rows, step=rows["step"].max()).groupby("seed")["value"].mean()

        runs = deep_runs(self, "admin")
        return list(mean_share(runs[-1], "admin") / mean_share(runs[0], "pre_ln"))

    @claim(
        "section 3.3",
        "largest over smallest gradient of fc2 in the decoder, over the same of the updates, mean of steps 2 to 10",
        at_least(10, "ratio", "convention"),
    )
    def adam_balances(self) -> Values:
        """Adam's updates are of one size in every layer where Post-LN's gradients vanish."""
        rows = self.runs["first"].layers(
            "grad_norm", "update_norm", stack="decoder", site="feed_forward", parameter="fc2.weight"
        )
        spread = rows[rows["step"] > 1].groupby(["seed", "step", "statistic"])["value"].agg(ratio).unstack()
        balance = (spread["grad_norm"] / spread["update_norm"]).apply(np.log)
        return list(np.exp(balance.groupby("seed").mean()))

    def _slope(self, variant: str) -> list[float]:
        rows = where(shifts(self.runs["shift"]), variant=variant)
        return fits(rows, exponent, "sub-layers")

    def _shares(self, variant: str) -> pd.DataFrame:
        """Of the own branch in the variance of the stream, encoder of 18 layers, `site` counting sub-layers."""
        rows = self.runs["dependency"].layers("dependency", stack="encoder", parameter="")
        return where(positions_of_sites(rows), depth=18, variant=variant)

    def _gradients(self, stack: str) -> pd.DataFrame:
        return stream_gradients(self.runs["gradients"], stack, depth=18, variant="post_ln")


def shifts(runs: Runs) -> pd.DataFrame:
    """The change of every encoder's output, with its number of sub-layers."""
    rows = runs.layers("output_shift", stack="encoder", layer=0)
    return rows.assign(**{"sub-layers": 2 * rows["depth"]})


def log_or_line(seed: pd.DataFrame) -> float:
    """See LOG_OR_LINE."""
    x, y = seed["sub-layers"], seed["value"]
    return r_squared(np.log(x), y) - r_squared(x, y)


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
