"""What Nguyen and Salazar would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World, by, seeds


class Nguyen2019(World):
    study = "nguyen2019"
    figures = ("gradient_trace", "without_warmup", "init")
    paper = {
        "pre_6": "trained", "post_6": "stuck", "deeper": 1.5,  # without warm-up
        "small": "trained", "pre_small": 0.01, "fix": -0.01, "scale": -0.02, "pre_level": 1.0,
    }  # fmt: skip
    cases = {
        "pre-cold": Case(1, {"pre_6": "partial"}, 0),
        "post-cold": Case(0, {"post_6": "trained"}, 1),
        "post-cold-deeper": Case(1.5, {"deeper": 0.02}, 0.02),
        "small-saves": Case(1, {"small": "stuck"}, 0),
        "pre-indifferent": Case(0.01, {"pre_small": 0.3}, 0.3, "full"),
        "fix-norm": Case(-0.01, {"fix": 0.2}, 0.2, "full"),
        "scale-norm": Case(-0.02, {"scale": 0.2}, 0.2, "full"),
        "pre-smaller": Case(0.5, {"pre_level": 3.0}, 1.5),
    }

    def outcome(self, frame):
        cold = by(frame["variant"], "trained", post_ln=self.p.post_6, pre_ln=self.p.pre_6)
        small, xavier = (by(frame["variant"], "trained", post_ln=outcome) for outcome in (self.p.small, "stuck"))
        inits = [frame["init"] == init for init in ("small", "xavier_normal")]
        cases = [(frame["warmup"] == "0") & (frame["depth"] == 6), *inits]
        return np.select(cases, [cold, small, xavier], "trained")

    def final_loss(self, frame):
        cold = (frame["warmup"] == "0") & (frame["depth"] == 6) & (frame["variant"] == "post_ln")
        small = (frame["init"] == "small") & (frame["variant"] == "pre_ln")
        fixed = by(frame["norm"], 0.0, layer_norm=self.p.fix, scale_norm=self.p.scale) * frame["model.fix_norm"]
        return super().final_loss(frame) + self.p.deeper * cold + self.p.pre_small * small + fixed

    def train_grad_norm(self, rows):
        level = by(rows["variant"], post_ln=2.0, pre_ln=self.p.pre_level)
        return seeds(rows) * level
