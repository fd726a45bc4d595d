"""Encoders can be deep when the norm comes first, or when every layer reads all layers below it."""

from collections.abc import Mapping

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import LOSS_BY_STEP, REDUCIBLE, drawn_losses, stream_gradients
from normexp.studies.statistics import per_seed, trained, values_by_seed
from normexp.studies.study import Study
from normexp.studies.windows import FEW, LOWER, MOST, at_least, at_most
from normexp.views.grid import where

DEPTH = "model.encoder_depth"
TABLE = "table of encoder depths"
TRAINED = "share of the runs that are trained, 18 encoder and 6 decoder layers"


class Wang2019(Control, Study):
    paper = "wang2019"

    @figure(title="Training loss of deep encoders with 6 decoder layers", column=DEPTH, **LOSS_BY_STEP)
    def encoder_depth(self) -> Drawn:
        rows, options = drawn_losses(self.runs["encoder"])
        depths = self.runs["encoder"].frame.set_index("folder")[DEPTH]
        return rows.assign(**{DEPTH: rows["folder"].map(depths)}), options

    @figure(
        "equations 5 and 6",
        title="Gradient of the stream after every encoder layer",
        x="layer",
        column="depth",
        label="gradient norm",
        log="y",
        caption="Norm of the loss gradient, at initialisation.",
    )
    def stream_gradients(self) -> Drawn:
        return stream_gradients(self.runs["gradients"], "encoder")

    @claim(TABLE, TRAINED, FEW)
    def post_fails(self) -> Values:
        """A Post-LN encoder of about 20 layers does not train."""
        return trained(self._deep, variant="post_ln")

    @claim(TABLE, TRAINED, MOST)
    def pre_trains(self) -> Values:
        """A Pre-LN encoder of about 20 layers trains."""
        return trained(self._deep, variant="pre_ln")

    @claim(TABLE, TRAINED, MOST)
    def dlcl_post_trains(self) -> Values:
        """A Post-LN encoder of about 20 layers trains with learned combinations of all lower layers (DLCL)."""
        return trained(self._deep, variant="dlcl_post")

    @claim(f"{TABLE} (28.9 against 27.3 BLEU)", f"final loss: 18 − 6 encoder layers, {REDUCIBLE}", LOWER)
    def deeper_is_better(self) -> Values:
        """A deeper Pre-LN encoder reaches a lower loss than a shallower one."""
        return self._lower_loss({"variant": "pre_ln", DEPTH: 18}, {"variant": "pre_ln", DEPTH: 6})

    @claim(f"{TABLE} (29.3 against 28.9 BLEU)", f"final loss with 18 encoder layers: DLCL − Pre-LN, {REDUCIBLE}", LOWER)
    def dlcl_pre_better(self) -> Values:
        """Pre-LN reaches a lower loss with learned combinations of all lower layers (DLCL) than without."""
        return self._lower_loss({"variant": "dlcl_pre", DEPTH: 18}, {"variant": "pre_ln", DEPTH: 18})

    @claim(
        "equation 6",
        "gradient of the stream after the first layer over that after the last, encoder of 18 layers",
        at_least(1, "ratio", "theory"),
    )
    def direct_path(self) -> Values:
        """Pre-LN passes the gradient at its top undiminished to the bottom of the stack."""
        rows = stream_gradients(self.runs["gradients"], "encoder", variant="pre_ln", depth=18)
        return list(values_by_seed(rows, layer=1) / values_by_seed(rows, layer=18))

    @claim(
        "equation 6",
        "largest error of the equation over all layers of encoder and decoder, relative to the gradient",
        at_most(1e-4, "identity", "theory"),
    )
    def path_is_identity(self) -> Values:
        """The gradient at a Pre-LN layer is the one at the top of its stack plus those through the branches above."""
        return per_seed(self.runs["path"].layers("path_error"), lambda seed: float(seed["value"].max()))

    def _lower_loss(self, one: Mapping[str, object], other: Mapping[str, object]) -> Values:
        return self.ordering(self.runs["final"].frame, one, other)

    @property
    def _deep(self) -> pd.DataFrame:
        return where(self.runs["encoder"].frame, **{DEPTH: 18})
