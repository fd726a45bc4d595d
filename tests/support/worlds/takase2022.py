"""What Takase et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World, by, fc2, seeds

FROM_THE_TOP = {"feed_forward": 0, "cross_attention": 1, "attention": 2}


class Takase2022(World):
    study = "takase2022"
    figures = ("layer_gradients", "inside_the_last_layer", "loss")
    paper = {
        "norm": 0.7, "sum": 1.2,  # what a norm, what a branch and its skip make of a gradient
        "divides": 1.0, "post": 0.3, "pre": 0.0, "b2t": 0.1, "pre_encoder": -0.5,  # gradient ∝ e^(r·layer), layer^p
        "b2t_18": "trained", "b2t_gain": -0.05, "post_gain": -0.03, "b2t_6": -0.04,
    }  # fmt: skip
    cases = {
        "norms-take": Case(1, {"divides": 1.3}, 1.3),
        "sums-keep": Case(1.2, {"sum": 0.9}, 0.9),
        "b2t-between": Case(1 / 3, {"b2t": 0.5}, 5 / 3),
        "pre-bottom": Case(-0.5, {"pre_encoder": 0.1}, 0.1),
        "b2t-18": Case(1, {"b2t_18": "stuck"}, 0),
        "b2t-beats-pre": Case(-0.05, {"b2t_gain": 0.1}, 0.1),
        "post-beats-pre-6": Case(-0.03, {"post_gain": 0.05}, 0.05, "full"),
        "b2t-6": Case(-0.01, {"b2t_6": 0.2}, 0.23, "full"),
    }

    def stream_grad_norm(self, rows):
        decay = by(rows["variant"], post_ln=self.p.post, pre_ln=self.p.pre, b2t=self.p.b2t)
        at_end = seeds(rows) * np.exp(decay * rows["layer"])
        return at_end * (self.p.norm * self.p.sum) ** rows["site"].map(FROM_THE_TOP)

    def branch_grad_norm(self, rows):
        return self.stream_grad_norm(rows) * self.p.norm

    def sum_norm(self, rows):
        return (self.p.divides / self.p.norm) ** 2

    def grad_norm(self, rows):
        encoder = rows["layer"] ** by(rows["variant"], 0.0, pre_ln=self.p.pre_encoder)
        return fc2(rows, seeds(rows) * np.where(rows["stack"] == "encoder", encoder, 1))

    def outcome(self, frame):
        deep = by(frame["variant"], "trained", post_ln="stuck", b2t=self.p.b2t_18)
        return np.where(frame["depth"] == 18, deep, "trained")

    def final_loss(self, frame):
        deep = by(frame["variant"], 0.0, b2t=self.p.b2t_gain)
        six = by(frame["variant"], 0.0, post_ln=self.p.post_gain, b2t=self.p.b2t_6)
        return super().final_loss(frame) + np.where(frame["depth"] == 18, deep, six)
