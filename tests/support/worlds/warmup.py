"""Post-LN needs warm-up, the others do not."""

import numpy as np

from tests.support.synthetic import Case, World, by, fc2, seeds


class Warmup(World):
    study = "warmup"
    figures = ("warmup", "gradients")
    paper = {
        "post_default": 0.5, "pre_default": 0.01, "post": 0.6, "admin": 0.2,  # rise of the loss without warm-up
        "post_fall": 0.2, "pre_fall": 0.8,
    }  # fmt: skip
    cases = {
        "post-default": Case(0.5, {"post_default": 0.02}, 0.02),
        "pre-default": Case(0.01, {"pre_default": 0.3}, 0.3),
        "admin-needs-none": Case(-0.4, {"admin": 0.9}, 0.3),
        "gradients-fall": Case(0.25, {"post_fall": 1.6}, 2),
    }

    def final_loss(self, frame):
        default = by(frame["variant"], 0.0, post_ln=self.p.post_default, pre_ln=self.p.pre_default)
        xavier = by(frame["variant"], 0.0, post_ln=self.p.post, admin=self.p.admin)
        rise = np.where(frame["init"] == "torch_default", default, xavier)
        return super().final_loss(frame) + np.where(frame["warmup"] == "0", rise, 0)

    def grad_norm(self, rows):
        fall = by(rows["variant"], post_ln=self.p.post_fall, pre_ln=self.p.pre_fall)
        warm = rows["steps"] / 10  # its end may lie between two measurements
        fallen = (rows["step"] >= warm) & (rows["step"] < warm + 10) & (rows["layer"] == 6)
        return fc2(rows, seeds(rows) * np.where(fallen, fall, 1))
