"""What Dong et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World


class Dong2021(World):
    study = "dong2021"
    figures = ("rank_collapse", "token_cosine")
    paper = {
        "alone": 0.36, "norms": 0.1, "layers": 0.05,  # growth of the drop of log₁₀ residual
        "drop": 0.8, "slow": 2.0, "skip": 0.3, "pre": 0.5, "post": 0.1, "alike": 0.4,
    }  # fmt: skip
    cases = {
        "attention-collapse": Case(0.36, {"alone": -0.1}, -0.1),
        "norms-collapse": Case(0.1, {"norms": -0.02}, -0.02),
        "layers-collapse": Case(0.05, {"layers": -0.02}, -0.02),
        "gone-by-4": Case(10**-6.08, {"drop": 0.1}, 10**-3.28),
        "feed-forward-slows": Case(2, {"slow": -1.0}, -1),
        "skip-keeps": Case(0.3, {"skip": 1e-3}, 1e-3),
        "pre-keeps": Case(0.5, {"pre": 0.1}, 0.1),
        "post-keeps": Case(0.1, {"post": 1e-3}, 1e-3),
        "post-alike": Case(0.4, {"alike": 0.05}, 0.05),
    }

    def rank_residual(self, rows):
        layer, alone = rows["layer"], rows["model.feed_forward"] == 0

        def collapse(growth, drop):
            return 10 ** -(growth * layer**2 / 2 + drop * layer)

        plain = collapse(self.p.alone, self.p.drop) * np.where(alone, 1, 10 ** (self.p.slow * layer / 3))
        no_residual = np.where(alone, collapse(self.p.norms, 0.2), collapse(self.p.layers, 0.2))
        kept = rows["variant"].map({"no_norm": self.p.skip, "pre_ln": self.p.pre, "post_ln": self.p.post}).fillna(0.5)
        value = np.select(
            [rows["variant"] == "plain", rows["variant"] == "no_residual"], [plain, no_residual], kept ** (layer / 12)
        )
        value = np.maximum(value, 1e-15)  # rounding stays
        return np.where(~alone & (rows["site"] == "attention"), value / 2, value)

    def token_cosine(self, rows):
        return 0.1 + self.p.alike * rows["layer"] / 12
