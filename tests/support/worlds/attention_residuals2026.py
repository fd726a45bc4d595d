"""Attention residuals make gradients and outputs even, and the loss lower."""

import numpy as np

from tests.support.synthetic import Case, World, fc2, seeds


class AttentionResiduals2026(World):
    study = "attention_residuals2026"
    figures = ("gradients", "outputs")
    paper = {"start": 2.0, "end": 3.0, "outputs": 1.5, "lower": 0.1}  # largest over smallest; of Pre-LN it is 8
    cases = {
        "even-at-start": Case(2 / 8, {"start": 6.0}, 6 / 8),
        "even-after-training": Case(3 / 8, {"end": 6.0}, 6 / 8),
        "even-outputs": Case(1.5 / 8, {"outputs": 6.0}, 6 / 8),
        "lower-loss": Case(-0.1, {"lower": -0.1}, 0.1),
    }

    def grad_norm(self, rows):
        at_end = (rows["steps"] > 0) & (rows["step"] == rows["steps"])
        spread = np.where(at_end, self.p.end, np.where(rows["steps"] > 0, 20.0, self.p.start))
        return seeds(rows) * fc2(rows, over_layers(rows, spread))

    def branch_norm(self, rows):
        at_end = rows["step"] == rows["steps"]
        return np.where(rows["site"] == "feed_forward", over_layers(rows, np.where(at_end, self.p.outputs, 20.0)), 7.0)

    def valid_loss(self, frame):
        ours = frame["variant"] == "attention_residuals"
        return 0.5 + 0.01 * frame["seed"] - np.where(ours, self.p.lower, 0)


def over_layers(rows, spread):
    """From 1 in the first layer to `spread` in the last, of Pre-LN to 8."""
    return np.where(rows["variant"] == "pre_ln", 8.0, spread) ** ((rows["layer"] - 1) / (rows["depth"] - 1))
