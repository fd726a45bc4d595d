"""The gradients vanish in a Post-LN decoder, and a single stack of Post-LN keeps both from training."""

import numpy as np

from tests.support.synthetic import Case, World, seeds


def combination(rows):
    """The variants of encoder and decoder: post_pre."""
    short = {"post_ln": "post", "pre_ln": "pre"}
    return rows["variant.encoder"].map(short) + "_" + rows["variant.decoder"].map(short)


class WhichStack(World):
    study = "which_stack"
    figures = ("gradients", "losses")
    paper = {
        "post_post_rate": 0.3, "post_pre_rate": -0.1, "pre_post_rate": 0.25, "pre_pre_rate": -0.1,
        "post_post": "stuck", "post_pre": "stuck", "pre_post": "partial", "pre_pre": "trained",
        "costs": 0.5,  # loss of Post-LN in the decoder alone, above that of the others
    }  # fmt: skip
    cases = {
        "post-post-vanishes": Case(0.3, {"post_post_rate": 0.1}, 0.1),
        "post-pre-keeps": Case(-0.1, {"post_pre_rate": 0.3}, 0.3),
        "pre-post-vanishes": Case(0.25, {"pre_post_rate": 0.1}, 0.1),
        "post-post-fails": Case(0, {"post_post": "trained"}, 1),
        "post-pre-fails": Case(0, {"post_pre": "trained"}, 1),
        "pre-pre-trains": Case(1, {"pre_pre": "partial"}, 0),
        "pre-post-fails": Case(0, {"pre_post": "trained"}, 1),
        "decoder-costs-more": Case(0.5, {"costs": -0.2}, -0.2),
    }

    def outcome(self, frame):
        return combination(frame).map(vars(self.p)).to_numpy() if "variant.encoder" in frame else "trained"

    def final_loss(self, frame):
        return super().final_loss(frame) + np.where(combination(frame) == "pre_post", self.p.costs, 0)

    def stream_grad_norm(self, rows):
        rates = (combination(rows) + "_rate").map(vars(self.p))
        return seeds(rows) * np.exp(np.where(rows["stack"] == "decoder", rates, 1) * rows["layer"])
