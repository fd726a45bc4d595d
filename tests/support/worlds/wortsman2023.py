"""What Wortsman et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World, by

# How far each rate is from the best one, in learning-rate sensitivities: the mean of the quick size's rates is 1.
EXCESS = {3e-4: 1, 1e-3: 1, 3e-3: 0.5, 1e-2: 0, 3e-2: 1.5, 1e-1: 2, 3e-1: 2}
OF_ALL = 8 / 7  # the mean of all


class Wortsman2023(World):
    study = "wortsman2023"
    figures = ("rates", "sensitivity", "changes", "logits")
    paper = {
        "pre": 0.2, "post": 0.4, "qk": 0.1, "cold": 0.3, "deeper": 0.35,
    }  # fmt: skip
    cases = {
        "qk-norm": Case(-0.1, {"qk": 0.25}, 0.05),
        "warm-up": Case(-0.1, {"cold": 0.1}, 0.1),
        "post-more": Case(0.2, {"post": 0.1}, -0.1),
        "depth": Case(0.15 * OF_ALL, {"deeper": 0.1}, -0.1 * OF_ALL, "full"),
    }

    def sensitivity(self, frame):
        pre = np.select(
            [frame["model.attention_norm"] == "qk", frame["warmup"] == "0", frame["depth"] == 12],
            [self.p.qk, self.p.cold, self.p.deeper],
            self.p.pre,
        )
        return np.where(frame["variant"] == "pre_ln", pre, by(frame["variant"], 0.2, post_ln=self.p.post))

    def final_loss(self, frame):
        """At the largest rate far above that of the untrained model, for which it should count."""
        loss = super().final_loss(frame) + self.sensitivity(frame) * frame["lr"].map(EXCESS)
        return loss.where(frame["lr"] < 0.3, 1000.0)

    def train_nll(self, rows):
        untrained = super().final_loss(rows) + self.sensitivity(rows) * EXCESS[0.3]
        return np.where(rows["step"] == 1, untrained, 1.0)
