"""The second half of a Pre-LN stack does little; other variants use it more."""

import numpy as np

from tests.support.synthetic import Case, World, by, seeds


class DepthUse2025(World):
    study = "depth_use2025"
    figures = ("skip_map", "skip_rise", "swap_rise", "layer_change")
    paper = {
        "pre": 0.3, "scaling": 0.5, "post": 0.6, "deep_norm": 0.55, "attention": 0.45,  # share of the second half
        "effect": 0.5, "change": 0.4, "swap": 0.2,
    }  # fmt: skip
    cases = {
        "pre-output": Case(0.3, {"pre": 0.7}, 0.7),
        "pre-later-layers": Case(0.5, {"effect": 2.0}, 2),
        "pre-adds-less": Case(0.4, {"change": 3.0}, 3),
        "pre-order": Case(0.2, {"swap": 0.8}, 0.8),
        "scaling-uses-more": Case(0.2, {"scaling": 0.1}, -0.2),
        "post-uses-more": Case(0.3, {"post": 0.2}, -0.1),
        "deep-norm-uses-more": Case(0.25, {"deep_norm": 0.2}, -0.1),
        "attention-residuals-use-more": Case(0.15, {"attention": 0.1}, -0.2),
    }

    def skip_rise(self, rows):
        share = by(rows["variant"], 0.5, pre_ln=self.p.pre, layer_norm_scaling=self.p.scaling, post_ln=self.p.post,
                   deep_norm=self.p.deep_norm, attention_residuals=self.p.attention)  # fmt: skip
        return halves(rows, 1 - share, share)

    def skip_effect(self, rows):
        return halves(rows, 1, self.p.effect)

    def layer_change(self, rows):
        return halves(rows, 1, self.p.change)

    def swap_rise(self, rows):
        """The second half has one pair fewer."""
        half = rows["depth"] / 2
        return halves(rows, (1 - self.p.swap) / half, self.p.swap / (half - 1))


def halves(rows, first, second):
    """After training; at the start another value, which nobody should take for it."""
    last = rows["step"] == rows["steps"]
    return seeds(rows) * np.where(last, np.where(rows["layer"] > rows["depth"] / 2, second, first), 7.0)
