"""What Kedia et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World, by, seeds


class DeepScale2024(World):
    study = "deep_scale2024"
    figures = ("forward", "backward")
    paper = {
        "forward": 1.5, "backward": 0.8,  # of DeepScale, last layer over first
        "pre": 90.0, "pre_gradient": 0.1, "post_gradient": 1e6,
    }  # fmt: skip
    cases = {
        "forward-is-kept": Case(1.5, {"forward": 5.0}, 5),
        "backward-is-kept": Case(1.25, {"backward": 0.1}, 10),
        "pre-grows": Case(90, {"pre": 3.0}, 3),
        "pre-gradient-grows-downwards": Case(0.1, {"pre_gradient": 1.0}, 1),
        "post-gradient-vanishes": Case(1e6, {"post_gradient": 2.0}, 2),
    }

    def stream_norm(self, rows):
        power = by(rows["variant"], 1.0, deep_scale=self.p.forward, pre_ln=self.p.pre)
        return seeds(rows) * np.where(rows["site"] == "feed_forward", power ** ((rows["layer"] - 1) / 191), 300.0)

    def stream_grad_norm(self, rows):
        power = by(rows["variant"], 1.0, deep_scale=self.p.backward, pre_ln=self.p.pre_gradient,
                   post_ln=self.p.post_gradient)  # fmt: skip
        return seeds(rows) * power ** ((rows["layer"] - 1) / 382)
