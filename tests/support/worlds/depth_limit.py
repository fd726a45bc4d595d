"""Arrangements that train up to some depth."""

import numpy as np

from tests.support.synthetic import Case, World, by


class DepthLimit(World):
    study = "depth_limit"
    figures = ("depth_limit", "loss_and_depth")
    paper = {"post": 6, "pre": 24, "admin": 12, "deep_norm": 24, "b2t": 12}
    cases = {
        "pre-ln-deeper": Case(1, {"pre": 6}, 0),
        "admin-deeper": Case(1, {"admin": 3}, 0),
        "deep-norm-deeper": Case(1, {"deep_norm": 6}, 0),
        "b2t-deeper": Case(1, {"b2t": 6}, 0, "full"),
    }

    def outcome(self, frame):
        p = self.p
        limit = by(frame["variant"], post_ln=p.post, pre_ln=p.pre, admin=p.admin, deep_norm=p.deep_norm, b2t=p.b2t)
        return np.where(frame["depth"] <= limit, "trained", "stuck")
