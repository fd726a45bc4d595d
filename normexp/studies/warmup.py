"""Who needs warm-up, under which initial weights and at which learning rate."""

import pandas as pd

from normexp.config.validate import warmup_steps
from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import REDUCIBLE, drawn_finals, fc2_gradients
from normexp.studies.statistics import differences, relative_gap
from normexp.studies.study import Runs, Study
from normexp.studies.verdict import LOSS_MARGIN
from normexp.studies.windows import HIGHER_LOSS, at_most
from normexp.views import formatting
from normexp.views.grid import where

RISE = f"rise of the final loss without warm-up, {REDUCIBLE}"
OURS = "after Xiong et al. 2020"


class Warmup(Control, Study):
    title = "Who needs warm-up? Final loss over variant, initialisation, learning rate and warm-up"

    @figure(
        title="Final loss by warm-up and learning rate",
        x="place",
        x_label="warm-up",
        column="init",
        row="lr",
    )
    def warmup(self) -> Drawn:
        rows, options = drawn_finals(self.runs["map"].frame, "Final training loss.")
        warmups = sorted(rows["warmup"].unique(), key=lambda warmup: warmup_steps(warmup, 1000))
        places = {warmup: float(place) for place, warmup in enumerate(warmups)}
        names = {place: formatting.warm_up(warmup) for warmup, place in places.items()}
        return rows.assign(place=rows["warmup"].map(places)), options | {"names": names}

    @figure(
        title="Gradient of fc2 by decoder layer, before and after warm-up",
        x="layer",
        column="moment",
        row="init",
        label="gradient norm",
        log="y",
        caption="At the first step and at the end of a warm-up of 10 %, at the lowest learning rate.",
    )
    def gradients(self) -> Drawn:
        return where(ends(self.runs["map"]), lr=self._lowest())

    @claim(OURS, f"{RISE} (torch_default, lowest rate)", HIGHER_LOSS, own=True)
    def post_default(self) -> Values:
        """Post-LN needs warm-up under PyTorch's default weights as well."""
        return self._rise("post_ln", "torch_default")

    @claim(OURS, f"{RISE} (torch_default, lowest rate)", at_most(LOSS_MARGIN, "equivalence", "convention"), own=True)
    def pre_default(self) -> Values:
        """Pre-LN does not need warm-up under PyTorch's default weights."""
        return self._rise("pre_ln", "torch_default")

    @claim(
        "after Liu et al. 2020",
        f"{RISE}: Admin − Post-LN (xavier_uniform, lowest rate)",
        at_most(0, "difference", "convention"),
        own=True,
    )
    def admin_needs_none(self) -> Values:
        """Admin needs warm-up less than Post-LN does."""
        admin, post = (self._rise(variant, "xavier_uniform") for variant in ("admin", "post_ln"))
        return differences(admin, post)

    @claim(
        f"{OURS}, figure 3a, b",
        "gradient of the last decoder fc2, after warm-up / at step 1: Post-LN / Pre-LN",
        at_most(1, "ratio", "convention"),
        own=True,
    )
    def gradients_fall(self) -> Values:
        """Post-LN's gradient near the output falls by more than Pre-LN's over warm-up."""
        rows = where(ends(self.runs["map"]), init="xavier_uniform", layer=6, lr=self._lowest())

        def fall(variant: str) -> pd.Series:
            by = where(rows, variant=variant).pivot_table(index="seed", columns="moment", values="value")
            by = by.reindex(columns=["step 1", "after warm-up"])  # a column is missing where no seed got as far
            return by["after warm-up"] / by["step 1"]

        return list(fall("post_ln") / fall("pre_ln"))

    def _lowest(self) -> float:
        return float(self.runs["map"].frame["lr"].min())

    def _rise(self, variant: str, init: str) -> list[float]:
        """Of the final loss without warm-up, at the lowest learning rate."""
        keys = {"variant": variant, "init": init, "lr": self._lowest()}
        return relative_gap(self.runs["map"].frame, keys | {"warmup": "0"}, keys | {"warmup": "10%"})


def ends(runs: Runs) -> pd.DataFrame:
    """Gradients of fc2 in the decoder, with `moment`: step 1, or the first step measured after a warm-up of 10 %."""
    rows = fc2_gradients(runs, stack="decoder", warmup="10%")
    warm = warmup_steps("10%", int(runs.frame["steps"].iloc[0]))
    after = rows.loc[rows["step"] >= warm, "step"].min()
    moments = {1: "step 1", after: "after warm-up"}
    return rows[rows["step"].isin(moments)].assign(moment=lambda part: part["step"].map(moments))
