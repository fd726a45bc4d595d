"""What Wang et al. (DeepNet) would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World, by, fc2, seeds


class DeepNet2022(World):
    study = "deepnet2022"
    figures = ("update_and_depth", "model_update", "norm_inputs", "loss")
    paper = {
        "spread": 2.0, "matrices": 1.5, "post": 0.8, "gradient": 3.0, "lower": -0.5,
        "deep_norm_18": "trained", "gain": -0.05, "jump": 20.0, "growth": 2.0,
        "start": 3.0, "tied": 0.4, "pre_tied": 0.1,
    }  # fmt: skip
    cases = {
        "deepnorm-bounded": Case(2, {"spread": 5.0}, 5),
        "deepnorm-bounded-matrices": Case(1.5, {"matrices": 4.0}, 4),
        "post-grows": Case(0.8, {"post": 0.1}, 0.1),
        "larger-gradient": Case(3, {"gradient": 0.5}, 0.5),
        "yet-trains": Case(-0.5, {"lower": 0.0}, 0),
        "deepnorm-18": Case(1, {"deep_norm_18": "stuck"}, 0),
        "deepnorm-beats-pre": Case(-0.05, {"gain": 0.05}, 0.05, "full"),
        "post-jumps": Case(20, {"jump": 0.5}, 0.5),
        "inputs-grow": Case(2, {"growth": 0.8}, 0.8),
        "tied-starts-higher": Case(3, {"start": -1.0}, -1),
        "tied-ends-higher": Case(0.4, {"tied": 0.01}, 0.01),
        "tied-costs-more": Case(0.3, {"pre_tied": 0.5}, -0.1),
    }

    def update_shift_norm(self, rows):
        matrices = rows.get("probes.update_shift.matrices", False)
        deep_norm = np.where(rows["depth"] == 48, np.where(matrices, self.p.matrices, self.p.spread), 1)
        return seeds(rows) * np.where(rows["variant"] == "deep_norm", deep_norm, rows["depth"] ** self.p.post)

    def grad_norm(self, rows):
        return fc2(rows, seeds(rows) * by(rows["init"], post_ln_init=self.p.gradient) * rows["layer"])

    def model_update(self, rows):
        jump = np.where(rows["step"] == 2, by(rows["variant"], post_ln=self.p.jump), 1)
        return np.where(rows["step"] == 1, 0, seeds(rows) * jump)

    def sum_norm(self, rows):
        return rows["layer"] * np.where(rows["step"] >= 10, self.p.growth, 1)

    def outcome(self, frame):
        return by(frame["variant"], "trained", deep_norm=self.p.deep_norm_18)

    def final_loss(self, frame):
        lower, gain = (
            by(frame["init"], 0.0, post_ln_init=self.p.lower),
            by(frame["variant"], 0.0, deep_norm=self.p.gain),
        )
        cost = by(frame["variant"], 0.0, deep_norm=self.p.tied, pre_ln=self.p.pre_tied)
        return 1 + super().final_loss(frame) + lower + gain + cost * frame["model.tied"].astype(int)

    def train_nll(self, rows):
        return 4 + self.p.start * rows["model.tied"]
