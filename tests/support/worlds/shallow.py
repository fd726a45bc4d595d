"""Post-LN is the better one where every arrangement trains."""

import numpy as np

from tests.support.synthetic import Case, World, by


class Shallow(World):
    study = "shallow"
    figures = ("valid_loss",)
    paper = {"post_2": -0.02, "post_6": -0.03, "b2t_6": -0.04, "post_untied": -0.01, "fall": 0.02, "post_lr": 5e-4}
    cases = {
        "post-2": Case(-0.02, {"post_2": 0.02}, 0.02),
        "post-6": Case(-0.03, {"post_6": 0.02}, 0.02),
        "b2t-6-pre": Case(-0.04, {"b2t_6": 0.02}, 0.02),
        "post-2-untied": Case(-0.01, {"post_untied": 0.03}, 0.03),
        "post-6-untied": Case(-0.01, {"post_untied": 0.03}, 0.03, "full"),
    }

    def final_loss(self, frame):
        best = by(frame["variant"], 1.5e-3, post_ln=self.p.post_lr)
        two = by(frame["variant"], 0.0, post_ln=self.p.post_2)
        six = by(frame["variant"], 0.0, post_ln=self.p.post_6, b2t=self.p.b2t_6)
        gap = np.where(frame["depth"] == 2, two, six)
        gap = np.where(frame["model.tied"], gap, by(frame["variant"], 0.0, post_ln=self.p.post_untied))
        return super().final_loss(frame) + (frame["lr"] != best) + gap

    def valid_nll(self, rows):
        last = (rows["variant"] == "post_ln") & (rows["step"] == rows["steps"])
        before = rows["step"] < 0.8 * rows["steps"]
        return 0.3 * np.where(last, 1 - self.p.fall, np.where(before, 2, 1))
