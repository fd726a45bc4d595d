"""What Xiong et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import LEVELS, Case, World, by, falling, fc2, seeds


class Xiong2020(World):
    study = "xiong2020"
    figures = ("last_gradient", "layer_gradients", "hidden_norm", "warmup")
    paper = {
        "post": 0.1, "pre": -0.5, "post_rate": 0.36, "pre_rate": 0.02,  # gradient ∝ depth^p, e^(r·layer) and layer^p
        "off": 0.02, "growth": 1.0,  # of the lemma's sum from 3/2; of its stream by layer
        "scatter": -0.5, "post_rise": 0.5, "pre_rise": 0.01, "radam": -0.3, "post_step": 200, "pre_step": 100,
    }  # fmt: skip
    cases = {
        "post-flat": Case(0.1, {"post": -0.6}, -0.6),
        "pre-falls": Case(-0.5, {"pre": -0.1}, -0.1),
        "pre-falls-like-root": Case(-0.5, {"pre": -0.1}, -0.1),
        "pre-14-to-6": Case((14 / 6) ** -0.5, {"pre": -1.5}, (14 / 6) ** -1.5),
        "post-grows": Case(0.36, {"post_rate": 0.05}, 0.05),
        "pre-even": Case(0.02, {"pre_rate": -0.5}, -0.5),
        "lemma-post": Case(1.02, {"off": 0.2}, 1.2),
        "lemma-scatters": Case(-0.5, {"scatter": -0.1}, -0.1),
        "lemma-pre": Case(2.5 / 3 - 1, {"growth": 2.0}, 33.5 / 25.5 - 1),  # entered with 1.5; at layers 1 and 16
        "warmup-post": Case(0.5, {"post_rise": 0.02}, 0.02),
        "warmup-pre": Case(0.01, {"pre_rise": 0.1}, 0.1),
        "warmup-differs": Case(0.49, {"post_rise": 0.03}, 0.02),
        "pre-faster": Case(0.5, {"pre_step": 300}, 1.5),
        "radam-post": Case(-0.3, {"radam": -0.01}, -0.01),
    }

    def grad_norm(self, rows):
        power = by(rows["variant"], post_ln=self.p.post, pre_ln=self.p.pre)
        post = np.exp(self.p.post_rate * (rows["layer"] - rows["depth"]))
        pre = (rows["layer"] / rows["depth"]) ** self.p.pre_rate
        return fc2(rows, seeds(rows) * rows["depth"] ** power * np.where(rows["variant"] == "post_ln", post, pre))

    def sum_norm(self, rows):
        scatter = 0.05 * (-1.0) ** rows["layer"] * (rows["model.width"] / 512) ** self.p.scatter
        return 1.5 * np.where(rows["site"] == "feed_forward", (1 + self.p.off) * (1 + scatter), 0.7)

    def stream_norm(self, rows):
        return np.where(rows["site"] == "attention", 9, 1.5 + self.p.growth * rows["layer"])

    def final_loss(self, frame):
        cold = np.where(
            frame["warmup"] == "0", by(frame["variant"], post_ln=self.p.post_rise, pre_ln=self.p.pre_rise), 0
        )
        return super().final_loss(frame) + cold + self.p.radam * (frame["optimizer"] == "radam")

    def train_nll(self, rows):
        to = by(rows["variant"], post_ln=self.p.post_step, pre_ln=self.p.pre_step)
        return falling(rows, LEVELS["baseline.position_only"] / 2, to)
