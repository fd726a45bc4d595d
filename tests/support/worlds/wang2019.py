"""What Wang et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World, by, seeds


class Wang2019(World):
    study = "wang2019"
    figures = ("encoder_depth", "stream_gradients")
    paper = {
        "post": "stuck", "pre": "trained", "dlcl": "trained", "deeper": -0.05, "mixes": -0.03, "lowest": 0.97,
    }  # fmt: skip
    cases = {
        "post-fails": Case(0, {"post": "trained"}, 1),
        "pre-trains": Case(1, {"pre": "diverged"}, 0),
        "dlcl-post-trains": Case(1, {"dlcl": "stuck"}, 0),
        "deeper-is-better": Case(-0.05, {"deeper": 0.05}, 0.05),
        "dlcl-pre-better": Case(-0.03, {"mixes": 0.03}, 0.03),
        "direct-path": Case(0.97, {"lowest": 0.5}, 0.5),
    }

    def outcome(self, frame):
        deep = by(frame["variant"], "trained", post_ln=self.p.post, pre_ln=self.p.pre, dlcl_post=self.p.dlcl)
        return np.where(frame["model.encoder_depth"] == 18, deep, "trained")

    def valid_loss(self, frame):
        return super().valid_loss(frame) + self.p.deeper * (frame["model.encoder_depth"] == 18)

    def final_loss(self, frame):
        return super().final_loss(frame) + by(frame["variant"], 0.0, dlcl_pre=self.p.mixes)

    def stream_grad_norm(self, rows):
        layer = np.select([rows["layer"] == 18, rows["layer"] == 5], [1, self.p.lowest], 2)
        return seeds(rows) * np.where(rows["site"] == "feed_forward", layer, 0.1)
