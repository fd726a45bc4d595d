"""How much the final loss depends on the learning rate, and what makes it depend less."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import NATS, drawn_regret
from normexp.studies.statistics import values_by_seed
from normexp.studies.study import Runs, Study
from normexp.studies.windows import LOWER, at_least
from normexp.views.grid import where

NAMES = {"rates": "default", "qk_norm": "norms on queries and keys", "cold": "no warm-up", "deeper": "12 layers"}
SENSITIVITY = f"learning-rate sensitivity, {NATS}"
CAPPED = "Final training loss, at most the loss of the untrained model."


class Wortsman2023(Control, Study):
    paper = "wortsman2023"

    @figure("figure 1", title="Final loss against learning rate", x="lr")
    def rates(self) -> Drawn:
        return drawn_regret(capped(self.runs["rates"]), self.runs["rates"].frame, CAPPED, "xy")

    @figure(
        title="Learning-rate sensitivity",
        x="place",
        label=NATS,
        x_label="",
        joined=False,
        zero=True,
        caption="Mean over the rates of the final loss (at most that of the untrained model) minus the lowest one.",
    )
    def sensitivity(self) -> Drawn:
        scores = sensitivities(self.runs["rates"])
        places = {variant: place for place, variant in enumerate(dict.fromkeys(scores["variant"]), start=1)}
        names = {place: variant.replace("_", "\n") for variant, place in places.items()}
        return scores.assign(place=scores["variant"].map(places)), {"names": names}

    @figure(
        "QK-norm and warm-up",
        title="Pre-LN's final loss against learning rate",
        x="lr",
        colour="change",
    )
    def changes(self) -> Drawn:
        rows = self._changed(capped)
        return drawn_regret(rows, rows, CAPPED, "xy")

    @figure(
        title="Largest attention logit at the end of training, Pre-LN",
        x="lr",
        colour="change",
        label="largest |logit|",
        log="xy",
        caption="Over all heads, layers and tokens of one batch.",
    )
    def logits(self) -> Drawn:
        return self._changed(largest)

    @claim("section on attention logits", f"{SENSITIVITY}: with − without norms on queries and keys", LOWER)
    def qk_norm(self) -> Values:
        """Norms on queries and keys make Pre-LN's loss depend less on the learning rate."""
        return list(self._sensitivity("qk_norm") - self._sensitivity("rates"))

    @claim("section on warm-up", f"{SENSITIVITY}: with − without warm-up", LOWER)
    def warm_up(self) -> Values:
        """Warm-up makes Pre-LN's loss depend less on the learning rate."""
        return list(self._sensitivity("rates") - self._sensitivity("cold"))

    @claim("", f"{SENSITIVITY}: Post-LN − Pre-LN", at_least(0, "difference", "convention"), own=True)
    def post_more(self) -> Values:
        """Post-LN's loss depends more on the learning rate than Pre-LN's."""
        return list(self._sensitivity("rates", "post_ln") - self._sensitivity("rates"))

    @claim("section on depth and width", f"{SENSITIVITY}: 12 − 6 layers", at_least(0, "difference", "figure"))
    def depth(self) -> Values:
        """Pre-LN's loss depends more on the learning rate the deeper the stack is."""
        return list(self._sensitivity("deeper") - self._sensitivity("rates"))

    def _sensitivity(self, part: str, variant: str = "pre_ln") -> pd.Series:
        return values_by_seed(sensitivities(self.runs[part]), variant=variant)

    def _changed(self, read: Callable[[Runs], pd.DataFrame]) -> pd.DataFrame:
        """What `read` gives for Pre-LN in every part, the part's name as `change`."""
        parts = {part: name for part, name in NAMES.items() if part in self.runs}
        return pd.concat(
            [where(read(self.runs[part]), variant="pre_ln").assign(change=name) for part, name in parts.items()]
        )


def capped(runs: Runs) -> pd.DataFrame:
    """Final loss of every run, at most the loss of its untrained model."""
    curves = runs.curves("nll", split="train")
    first = curves[curves["step"] == 1].set_index("folder")["value"]
    loss = runs.frame["final_loss"].astype(float).fillna(np.inf)
    return runs.frame.assign(value=np.minimum(loss, runs.frame["folder"].map(first)))


def sensitivities(runs: Runs) -> pd.DataFrame:
    """Mean over the learning rates of loss − best loss, per variant and seed."""
    losses = capped(runs).groupby(["variant", "seed"], sort=False)["value"]
    return (losses.mean() - losses.min()).reset_index()


def largest(runs: Runs) -> pd.DataFrame:
    """The largest attention logit of the last measured step of every run; infinite where the run diverged."""
    rows = runs.layers("attention_logit_max")
    last = rows[rows["step"] == rows.groupby("folder")["step"].transform("max")]
    values = last.groupby(["folder", "variant", "lr", "seed"], sort=False)["value"].max().reset_index()
    diverged = set(runs.frame.loc[runs.frame["outcome"] == "diverged", "folder"])
    return values.assign(value=values["value"].where(~values["folder"].isin(diverged), np.inf))
