"""Post-LN and Pre-LN in encoder and decoder, in all four combinations."""

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import REDUCIBLE, drawn_losses, stream_gradients
from normexp.studies.statistics import fits, rate, relative_gap, trained
from normexp.studies.study import Study
from normexp.studies.windows import FEW, HIGHER_LOSS, MOST, at_least, at_most
from normexp.views.names import name_of

VANISHES = 0.15  # per layer; that of decoder-vanishes in liu2020
SLOPE = "r of the stream's gradient ∝ e^(r·layer), decoder of 18 layers"
TRAINED = "share of the runs that are trained"
TABLE = "Liu et al. 2020, table of 18 layers"
OURS = "after Liu et al. 2020"
POST, PRE = "post_ln", "pre_ln"


class WhichStack(Control, Study):
    title = "Is it the encoder or the decoder that keeps Post-LN from training, and are vanishing gradients the cause?"

    @figure(
        title="Gradient of the stream by layer, at initialisation",
        x="layer",
        colour="stacks",
        column="stack",
        label="gradient norm",
        log="y",
        caption="Norm of the loss gradient of the stream after every layer of 18. Legend: encoder / decoder.",
    )
    def gradients(self) -> Drawn:
        runs = self.runs["gradients"]
        return named(pd.concat([stream_gradients(runs, stack) for stack in ("encoder", "decoder")]))

    @figure(title="Training loss with the norm placed differently in encoder and decoder", x="step", colour="stacks")
    def losses(self) -> Drawn:
        rows, options = drawn_losses(self.runs["training"])
        return named(rows), options | {"caption": f"{options['caption']} Legend: encoder / decoder."}

    @claim(TABLE, SLOPE, at_least(VANISHES, "exponent", "pilot"))
    def post_post_vanishes(self) -> Values:
        """With Post-LN in both stacks, the gradients vanish towards the decoder's input."""
        return self._slope(POST, POST)

    @claim(TABLE, SLOPE, at_most(VANISHES, "exponent", "pilot"))
    def post_pre_keeps(self) -> Values:
        """With Post-LN in the encoder and Pre-LN in the decoder, the decoder's gradients do not vanish."""
        return self._slope(POST, PRE)

    @claim(OURS, SLOPE, at_least(VANISHES, "exponent", "pilot"), own=True)
    def pre_post_vanishes(self) -> Values:
        """With Pre-LN in the encoder and Post-LN in the decoder, the gradients vanish towards the decoder's input."""
        return self._slope(PRE, POST)

    @claim(TABLE, TRAINED, FEW)
    def post_post_fails(self) -> Values:
        """A deep Transformer with Post-LN in both stacks does not train."""
        return self._trained(POST, POST)

    @claim(TABLE, TRAINED, FEW)
    def post_pre_fails(self) -> Values:
        """A deep Transformer with Post-LN in the encoder alone does not train."""
        return self._trained(POST, PRE)

    @claim(TABLE, TRAINED, MOST)
    def pre_pre_trains(self) -> Values:
        """A deep Transformer with Pre-LN in both stacks trains."""
        return self._trained(PRE, PRE)

    @claim(OURS, TRAINED, FEW, own=True)
    def pre_post_fails(self) -> Values:
        """A deep Transformer with Post-LN in the decoder alone does not train."""
        return self._trained(PRE, POST)

    @claim(OURS, f"final loss: Post-LN in the decoder alone − in the encoder alone, {REDUCIBLE}", HIGHER_LOSS, own=True)
    def decoder_costs_more(self) -> Values:
        """Post-LN in the decoder alone ends at a higher loss than Post-LN in the encoder alone."""
        return relative_gap(self.runs["training"].frame, stacks(PRE, POST), stacks(POST, PRE))

    def _slope(self, encoder: str, decoder: str) -> list[float]:
        rows = stream_gradients(self.runs["gradients"], "decoder", **stacks(encoder, decoder))
        return fits(rows, rate, "layer")

    def _trained(self, encoder: str, decoder: str) -> list[float]:
        return trained(self.runs["training"].frame, **stacks(encoder, decoder))


def stacks(encoder: str, decoder: str) -> dict[str, str]:
    """The columns of runs with these variants."""
    return {"variant.encoder": encoder, "variant.decoder": decoder}


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """The same with `stacks`, the two variants as a reader calls them."""
    pairs = zip(rows["variant.encoder"], rows["variant.decoder"], strict=True)
    return rows.assign(stacks=[f"{name_of('variant', one)} / {name_of('variant', other)}" for one, other in pairs])
