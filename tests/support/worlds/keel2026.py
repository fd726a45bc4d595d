"""Keel keeps its gradient and learns at 48 layers, better than Pre-LN and without its rule; Post-LN does not."""

import numpy as np

from tests.support.synthetic import Case, World, by, seeds


def without_rule(rows):
    return "variant.first_block" in rows


class Keel2026(World):
    study = "keel2026"
    figures = ("gradients", "losses")
    paper = {"kept": 0.9, "rule": 20.0, "keel": True, "post": False, "lower": 0.1, "rule_lowers": 0.05}
    cases = {
        "gradient-is-kept": Case(0.9, {"kept": 0.01}, 0.01),
        "first-block-gets-more": Case(20, {"rule": 0.5}, 0.5),
        "keel-learns": Case(1, {"keel": False}, 0),
        "post-does-not": Case(0, {"post": True}, 1),
        "lower-than-pre": Case(-0.1, {"lower": -0.2}, 0.2),
        "rule-lowers-loss": Case(-0.05, {"rule_lowers": -0.1}, 0.1),
    }

    def stream_grad_norm(self, rows):
        first = by(rows["variant"], 7.0, keel=self.p.kept)
        return seeds(rows) * first ** ((rows["depth"] - rows["layer"]) / (rows["depth"] - 1))

    def grad_norm(self, rows):
        """Of the first attention as a whole; elsewhere another value."""
        first = (rows["layer"] == 1) & (rows["site"] == "attention") & (rows["parameter"] == "")
        return seeds(rows) * np.where(first, 1.0 if without_rule(rows) else self.p.rule, 300.0)

    def outcome(self, frame):
        learns = by(frame["variant"], True, keel=self.p.keel, post_ln=self.p.post)
        return np.where(learns, "partial", "stuck")

    def valid_loss(self, frame):
        keel = self.p.lower - (self.p.rule_lowers if without_rule(frame) else 0)
        return 0.5 + 0.01 * frame["seed"] - by(frame["variant"], 0.0, keel=keel)
