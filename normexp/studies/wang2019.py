"""Encoders can be deep when the norm comes first, or when every layer reads all layers below it."""

import pandas as pd

from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import GEOMETRIC, LOSS, NATS, loss_curves
from normexp.studies.statistics import loss_gap, per_seed, trained, valid_loss
from normexp.studies.study import Study
from normexp.views.grid import where

DEPTH = "model.encoder_depth"
TABLE = "table of encoder depths"
TRAINED = "share of the runs that are trained, 18 encoder and 6 decoder layers"


class Wang2019(Study):
    citation = "Wang et al. 2019"
    title = "Learning Deep Transformer Models for Machine Translation (DLCL)"

    @figure(
        title="Training loss of deep encoders with 6 decoder layers", x="step", column=DEPTH, label=NATS, caption=LOSS
    )
    def encoder_depth(self) -> Drawn:
        return loss_curves(self.runs["encoder"])

    @figure(
        "equations 5 and 6",
        title="Gradient of the stream after every encoder layer",
        x="layer",
        column="depth",
        label="gradient norm",
        log="y",
        caption=f"Norm of the loss gradient, at initialisation. {GEOMETRIC}",
    )
    def stream_gradients(self) -> Drawn:
        return self.runs["gradients"].layers("stream_grad_norm", site="feed_forward", stack="encoder")

    @claim(TABLE, TRAINED, kind="share", at_most=0, source="figure")
    def post_fails(self) -> Values:
        """A Post-LN encoder of about 20 layers does not train."""
        return trained(self._deep, variant="post_ln")

    @claim(TABLE, TRAINED, kind="share", at_least=1, source="figure")
    def pre_trains(self) -> Values:
        """A Pre-LN encoder of about 20 layers trains."""
        return trained(self._deep, variant="pre_ln")

    @claim(TABLE, TRAINED, kind="share", at_least=1, source="figure")
    def dlcl_post_trains(self) -> Values:
        """A Post-LN encoder of about 20 layers trains with learned combinations of all lower layers (DLCL)."""
        return trained(self._deep, variant="dlcl_post")

    @claim(f"{TABLE} (28.9 against 27.3 BLEU)", f"validation loss: 18 − 6 encoder layers, {NATS}", kind="difference",
           at_most=0, source="figure")  # fmt: skip
    def deeper_is_better(self) -> Values:
        """A deeper Pre-LN encoder reaches a lower loss than a shallower one."""
        deep, shallow = ({"variant": "pre_ln", DEPTH: depth} for depth in (18, 6))
        return loss_gap(self.runs["encoder"].frame, deep, shallow, valid_loss)

    @claim(f"{TABLE} (29.3 against 28.9 BLEU)", f"final loss with 18 encoder layers: DLCL − Pre-LN, {NATS}",
           kind="difference", at_most=0, source="figure")  # fmt: skip
    def dlcl_pre_better(self) -> Values:
        """Pre-LN reaches a lower loss with learned combinations of all lower layers (DLCL) than without."""
        return loss_gap(self._deep, {"variant": "dlcl_pre"}, {"variant": "pre_ln"})

    @claim("equation 6", "smallest stream gradient of any encoder layer over that of the last of 18", kind="ratio",
           at_least=0.95, source="theory")  # fmt: skip
    def direct_path(self) -> Values:
        """Pre-LN passes the gradient at its top undiminished to every layer below."""
        rows = self.runs["gradients"].layers("stream_grad_norm", stack="encoder", site="feed_forward")
        rows = where(rows, variant="pre_ln", depth=18)
        return per_seed(rows, lambda seed: float(seed["value"].min() / seed.set_index("layer")["value"][18]))

    @property
    def _deep(self) -> pd.DataFrame:
        return where(self.runs["encoder"].frame, **{DEPTH: 18})
