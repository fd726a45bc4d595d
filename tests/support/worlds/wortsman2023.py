"""What Wortsman et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World, by

# How far each rate is from the best one, in learning-rate sensitivities: their mean is 1.
EXCESS = {3e-4: 1, 1e-3: 0.5, 3e-3: 0.5, 1e-2: 0, 3e-2: 1, 1e-1: 2, 3e-1: 2}


class Wortsman2023(World):
    study = "wortsman2023"
    figures = ("rates", "sensitivity", "changes", "logits")
    paper = {
        "pre": 0.2, "post": 0.4, "qk": 0.1, "cold": 0.3, "deeper": 0.35, "logits": 0.36, "bound": 0.2,
    }  # fmt: skip
    cases = {
        "qk-norm": Case(-0.1, {"qk": 0.25}, 0.05),
        "warm-up": Case(-0.1, {"cold": 0.1}, 0.1),
        "post-more": Case(0.2, {"post": 0.1}, -0.1),
        "logits-grow": Case(0.36, {"logits": 0.05}, 0.05),
        "logits-bounded": Case(0.2, {"bound": 3.0}, 3),
        "depth": Case(0.15, {"deeper": 0.1}, -0.1, "full"),
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

    def attention_logit_max(self, rows):
        """A power of the rate up to one beyond the best; above that, at the start and outside layer 3 it is another."""
        top = np.where(rows["lr"] > 3e-2, 1e4, rows["lr"] ** self.p.logits)
        top = top * np.where(rows["model.attention_norm"] == "qk", self.p.bound, 1)
        return np.where((rows["step"] == 1) | (rows["layer"] != 3), 1e-6, top)
