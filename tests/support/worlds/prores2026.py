"""ProRes lowers the loss, more so in deeper stacks."""

import numpy as np

from tests.support.synthetic import Case, World


class ProRes2026(World):
    study = "prores2026"
    figures = ("losses",)
    paper = {"pre_6": 0.02, "pre_12": 0.1, "post_6": 0.05, "post_12": 0.2}  # by how much it lowers the loss
    cases = {
        "pre-gains": Case(-0.1, {"pre_12": -0.1}, 0.1),
        "post-gains": Case(-0.2, {"post_12": -0.1}, 0.1),
        "pre-gain-grows": Case(0.08, {"pre_12": 0.01}, -0.01),
        "post-gain-grows": Case(0.15, {"post_12": 0.01}, -0.04),
    }

    def valid_loss(self, frame):
        pre = np.where(frame["depth"] == 6, self.p.pre_6, self.p.pre_12)
        post = np.where(frame["depth"] == 6, self.p.post_6, self.p.post_12)
        gain = np.where(frame["variant"] == "pre_ln", pre, post)
        return 0.5 + 0.01 * frame["seed"] - (gain if "addon" in frame else 0)
