"""What Dong et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World, by


class Dong2021(World):
    study = "dong2021"
    figures = ("rank_collapse", "token_cosine")
    paper = {
        "alone": 3.0, "norms": 3.1, "layers": 2.9,  # ratio of successive drops of log₁₀ residual
        "drop": 0.5, "slow": 2.0, "skip": 0.1, "pre": -0.2, "post": 0.05, "alike": 0.4,
    }  # fmt: skip
    cases = {
        "attention-collapse": Case(3.0, {"alone": 2.0}, 2.0),
        "norms-collapse": Case(3.1, {"norms": 1.5}, 1.5),
        "layers-collapse": Case(2.9, {"layers": 1.2}, 1.2),
        "gone-by-4": Case(1e-15, {"drop": 0.01}, 10**-0.4),
        "feed-forward-slows": Case(2, {"slow": -1.0}, -1),
        "skip-keeps": Case(0.1, {"skip": 1.0}, 1.0),
        "pre-keeps": Case(-0.2, {"pre": 1.0}, 1.0),
        "post-keeps": Case(0.05, {"post": 1.0}, 1.0),
        "post-alike": Case(0.4, {"alike": 0.05}, 0.05),
    }

    def rank_residual(self, rows):
        layer, alone = rows["layer"], rows["model.feed_forward"] == 0

        def collapse(ratio, drop):
            return 10 ** np.maximum(-20, -drop * (ratio**layer - 1) / (ratio - 1))

        plain = collapse(self.p.alone, self.p.drop) * np.where(alone, 1, 10 ** (self.p.slow * layer / 3))
        no_residual = np.where(alone, collapse(self.p.norms, 0.2), collapse(self.p.layers, 0.2))
        faster = by(rows["variant"], 0.0, no_norm=self.p.skip, pre_ln=self.p.pre, post_ln=self.p.post)
        kept = 10 ** (-0.5 * layer / 6 - faster * np.maximum(layer - 6, 0) / 6)
        value = np.select([rows["variant"] == "plain", rows["variant"] == "no_residual"], [plain, no_residual], kept)
        value = np.maximum(value, 1e-15)  # rounding errors remain
        return np.where(~alone & (rows["site"] == "attention"), value / 2, value)

    def token_cosine(self, rows):
        return 0.1 + self.p.alike * rows["layer"] / 12
