"""What Noci et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import ATTENTION, Case, World, by, seeds


def scaled_branches(rows):
    """Whether the runs of these rows have an add-on."""
    return "addon" in rows


class Noci2022(World):
    study = "noci2022"
    figures = ("query_gradients", "token_cosines")
    paper = {
        "queries": 1e-6, "keys": 1e-5, "values": 0.5,  # gradients of a stack without skips, in its last layer
        "post": 0.05, "scaled_post": 0.3, "scaled_pre": 0.4,  # queries over values, in the last layer
        "rise": 0.4, "scaled_post_rise": 0.05, "scaled_pre_rise": -0.05, "gap": 0.3,  # cosines
    }  # fmt: skip
    cases = {
        "queries-vanish": Case(1e-6, {"queries": 0.1}, 0.1),
        "keys-vanish": Case(1e-5, {"keys": 0.1}, 0.1),
        "values-remain": Case(0.5, {"values": 0.01}, 0.01),
        "scaled-post-keeps": Case(0.3, {"scaled_post": 0.02}, 0.02),
        "scaled-pre-keeps": Case(0.4, {"scaled_pre": 0.02}, 0.02),
        "scaling-helps-queries": Case(np.log10(6), {"post": 0.6}, -np.log10(2)),
        "post-aligns": Case(0.4, {"rise": 0.05}, 0.05),
        "scaled-post-flat": Case(0.05, {"scaled_post_rise": 0.3}, 0.3),
        "scaled-pre-flat": Case(-0.05, {"scaled_pre_rise": 0.3}, 0.3),
        "scaling-keeps-tokens-apart": Case(-0.65, {"gap": -0.55}, 0.2),
    }

    def grad_norm(self, rows):
        layer, scaled = rows["layer"] / 12, scaled_branches(rows)
        skipless = rows["variant"] == "no_residual"
        values = np.where(skipless, self.p.values, 1) ** layer
        queries = by(rows["variant"], 0.2, no_residual=self.p.queries, post_ln=self.p.post)
        if scaled:
            queries = by(rows["variant"], post_ln=self.p.scaled_post, pre_ln=self.p.scaled_pre)
        keys = np.where(skipless, self.p.keys, queries)
        share = np.select(
            [rows["parameter"] == f"{matrix}.weight" for matrix in ATTENTION],
            [queries**layer, keys**layer, 1],
            7.0,  # of others, which nobody should take for them
        )
        return seeds(rows) * values * share

    def token_cosine(self, rows):
        deep, scaled = (rows["depth"] - 6) / 18, scaled_branches(rows)
        rise = by(rows["variant"], self.p.rise, pre_ln=0.2)
        less = by(rows["variant"], 0.0, post_ln=self.p.scaled_post_rise, pre_ln=self.p.scaled_pre_rise)
        cosine = 0.5 + (less * deep - self.p.gap if scaled else rise * deep)
        return np.where((rows["layer"] == rows["depth"]) & (rows["site"] == "feed_forward"), cosine, 0.1)
