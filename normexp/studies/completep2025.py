"""Whether one learning rate suits every depth: how far updates move the output, and what a rate of 2 layers costs."""

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import after_training, drawn_regret
from normexp.studies.statistics import best_valid_lr, exponent, fits, paired, reducible, valid_loss
from normexp.studies.study import Study
from normexp.studies.windows import LOWER, NO_HIGHER_LOSS, at_least, within
from normexp.views.grid import where

PARAMETRISATIONS = {"standard": "standard", "depth_mup": "depth-µP (α = ½)", "complete_p": "CompleteP (α = 1)"}
COORDINATES = "coordinate check in depth"
MOVES = "p in: ten updates move the output by depthᵖ"
STREAM = "p in: ten updates move the last stream, before the norm that ends the stack, by depthᵖ"
TRANSFER = "figure of the loss over the learning rate"
SHARE = "validation loss as a share of blind loss − floor"
SHALLOW = 2  # layers; the base of both parametrisations, which change nothing there


class CompleteP2025(Control, Study):
    paper = "dey2025"

    @figure(
        COORDINATES,
        title="How far ten updates move the output",
        x="depth",
        colour="change",
        label="distance per token",
        log="xy",
        caption="Mean distance per token between the outputs of the stack before and after ten updates, for the same "
        "batch.",
    )
    def coordinates(self) -> Drawn:
        return pd.concat([self._moved(name).assign(change=label) for name, label in PARAMETRISATIONS.items()])

    @figure(
        COORDINATES,
        title="How far ten updates move the stream",
        x="depth",
        colour="change",
        label="distance per token",
        log="xy",
        caption="Mean distance per token between the streams after the last layer, before and after ten updates, for "
        "the same batch. Unlike the output, the stream is not normalised.",
    )
    def stream_coordinates(self) -> Drawn:
        return pd.concat([self._stream(name).assign(change=label) for name, label in PARAMETRISATIONS.items()])

    @figure(TRANSFER, title="Validation loss over the learning rate", x="lr", colour="depth", column="change")
    def rates(self) -> Drawn:
        frames = {name: self._rates(name) for name in PARAMETRISATIONS}
        rows = pd.concat([rows.assign(change=PARAMETRISATIONS[name]) for name, rows in frames.items()])
        rows = rows.assign(value=rows["valid_loss"].astype(float))
        return drawn_regret(rows, rows, "Loss on the validation part, after the last step.", "x")

    @claim(COORDINATES, f"{MOVES}, CompleteP", within(-0.1, 0.1, "equivalence", "figure"))
    def complete_p_moves_alike(self) -> Values:
        """With CompleteP, the first updates move the output of deep and shallow stacks alike."""
        return fits(self._moved("complete_p"), exponent, "depth")

    @claim(COORDINATES, f"{MOVES}, depth-µP", within(-0.1, 0.1, "equivalence", "theory"))
    def depth_mup_moves_alike(self) -> Values:
        """With depth-µP, the first updates move the output of deep and shallow stacks alike."""
        return fits(self._moved("depth_mup"), exponent, "depth")

    @claim(COORDINATES, f"{MOVES}, standard", at_least(0.3, "exponent", "figure"))
    def standard_moves_more(self) -> Values:
        """In the standard parametrisation, the first updates move the output of deep stacks further."""
        return fits(self._moved("standard"), exponent, "depth")

    @claim(COORDINATES, f"{STREAM}, CompleteP", within(-0.1, 0.1, "equivalence", "figure"), exploratory=True)
    def complete_p_moves_streams_alike(self) -> Values:
        """With CompleteP, the first updates move the stream of deep and shallow stacks alike."""
        return self._stream_exponents("complete_p")

    @claim(COORDINATES, f"{STREAM}, depth-µP", within(-0.1, 0.1, "equivalence", "theory"), exploratory=True)
    def depth_mup_moves_streams_alike(self) -> Values:
        """With depth-µP, the first updates move the stream of deep and shallow stacks alike."""
        return self._stream_exponents("depth_mup")

    @claim(COORDINATES, f"{STREAM}, standard", at_least(0.3, "exponent", "figure"), exploratory=True)
    def standard_moves_streams_more(self) -> Values:
        """In the standard parametrisation, the first updates move the stream of deep stacks further."""
        return self._stream_exponents("standard")

    @claim(TRANSFER, f"{SHARE}: at the best rate of {SHALLOW} layers − at the best rate, CompleteP", NO_HIGHER_LOSS)
    def complete_p_transfers(self) -> Values:
        """With CompleteP, the best learning rate of a shallow stack is as good as the best one in a deep stack."""
        return list(self._regret("complete_p"))

    @claim(
        TRANSFER,
        f"{SHARE}, at the best rate of {SHALLOW} layers − at the best rate: depth-µP − CompleteP",
        at_least(0, "difference", "figure"),
    )
    def depth_mup_transfers_worse(self) -> Values:
        """Keeping the best learning rate of a shallow stack costs a deep one more with depth-µP than with CompleteP."""
        return paired(self._regret("depth_mup"), self._regret("complete_p"))

    @claim(TRANSFER, f"{SHARE}, at the best rate of {SHALLOW} layers: CompleteP − standard", LOWER)
    def complete_p_beats_standard(self) -> Values:
        """At the best learning rate of a shallow stack, a deep stack ends at a lower loss with CompleteP."""
        kept = self._kept_rate()
        losses = [valid_loss(self._deep(name), lr=kept) for name in ("complete_p", "standard")]
        return [gap / reducible(self.runs["standard_rates"].frame) for gap in paired(*losses)]

    def _moved(self, name: str) -> pd.DataFrame:
        """How far the output has moved after the last step of every run."""
        return after_training(self.runs[f"{name}_first"].layers("model_update", stack="decoder"))

    def _stream(self, name: str) -> pd.DataFrame:
        """How far the stream after the last layer has moved."""
        return after_training(self.runs[f"{name}_stream"].layers("stream_update", stack="decoder"))

    def _stream_exponents(self, name: str) -> list[float]:
        return fits(self._stream(name), exponent, "depth")

    def _rates(self, name: str) -> pd.DataFrame:
        """The runs of a parametrisation; at the base depth those of the standard one, which are the same."""
        shallow = where(self.runs["standard_rates"].frame, depth=SHALLOW)
        return pd.concat([shallow, self._deep(name)])

    def _deep(self, name: str) -> pd.DataFrame:
        """The runs of the deepest stacks."""
        frame = self.runs[f"{name}_rates"].frame
        return where(frame, depth=frame["depth"].max())

    def _kept_rate(self) -> float:
        return best_valid_lr(where(self.runs["standard_rates"].frame, depth=SHALLOW))

    def _regret(self, name: str) -> pd.Series:
        """What the rate of the shallow stack costs in the deep one, by seed."""
        deep = self._deep(name)
        at_kept, at_best = (valid_loss(deep, lr=lr) for lr in (self._kept_rate(), best_valid_lr(deep)))
        return (at_kept - at_best) / reducible(deep)
