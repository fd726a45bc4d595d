"""What Wang et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World, by, seeds


class Wang2019(World):
    study = "wang2019"
    figures = ("encoder_depth", "stream_gradients")
    paper = {
        "post": "stuck", "pre": "trained", "dlcl": "trained", "deeper": -0.03, "mixes": -0.03,
        "lowest": 1.2, "error": 1e-6,
    }  # fmt: skip
    cases = {
        "post-fails": Case(0, {"post": "trained"}, 1),
        "pre-trains": Case(1, {"pre": "diverged"}, 0),
        "dlcl-post-trains": Case(1, {"dlcl": "stuck"}, 0),
        "deeper-is-better": Case(-0.03, {"deeper": 0.05}, 0.05, "full"),
        "dlcl-pre-better": Case(-0.03, {"mixes": 0.03}, 0.03, "full"),
        "direct-path": Case(1.2, {"lowest": 0.5}, 0.5),
        "path-is-identity": Case(1e-6, {"error": 0.3}, 0.3),
    }

    def outcome(self, frame):
        deep = by(frame["variant"], "trained", post_ln=self.p.post, pre_ln=self.p.pre, dlcl_post=self.p.dlcl)
        return np.where(frame["model.encoder_depth"] == 18, deep, "trained")

    def final_loss(self, frame):
        deeper = self.p.deeper * (frame["model.encoder_depth"] == 18)
        return super().final_loss(frame) + deeper + by(frame["variant"], 0.0, dlcl_pre=self.p.mixes)

    def path_error(self, rows):
        return np.where(rows["layer"] == 7, self.p.error, 0)

    def stream_grad_norm(self, rows):
        layer = np.select([rows["layer"] == 18, rows["layer"] == 1], [1, self.p.lowest], 2)
        return seeds(rows) * np.where(rows["site"] == "feed_forward", layer, 0.1)
