"""What Liu et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World, by, fc2, seeds

SUBLAYERS = np.array([4, 8, 16, 32, 64, 128])
PLACES = {"attention": 1, "cross_attention": 2}


def log_beats_line(power):
    """By correlations, whose squares are the R² of straight lines."""
    shifts = SUBLAYERS**power
    return np.corrcoef(np.log(SUBLAYERS), shifts)[0, 1] ** 2 - np.corrcoef(SUBLAYERS, shifts)[0, 1] ** 2


class Liu2020(World):
    study = "liu2020"
    figures = ("output_shift", "relative_gradients", "dependency_6", "dependency_18", "dependency_in_training")
    paper = {
        "post": 1.0, "pre": 0.2, "admin": 0.25, "pre_level": 1.0,  # change ∝ sub-layers^p
        "rate": 0.2, "spread": 2.0, "updates": 2.0,  # gradients of the decoder, of the encoder; updates
        "post_share": 0.3, "off": 1.3, "admin_share": 1.2, "relies": 2.0,  # of the own branch
        "post_18": "stuck", "admin_18": "trained",
    }  # fmt: skip
    cases = {
        "shift-post": Case(1.0, {"post": 0.5}, 0.5),
        "shift-pre": Case(0.8, {"pre": 0.9}, 0.1),
        "shift-admin": Case(0.05, {"admin": 0.6}, 0.4),
        "shift-64": Case(64**0.8, {"pre_level": 100.0}, 64**0.8 / 100),
        "shift-log": Case(log_beats_line(0.2), {"pre": 1.0}, log_beats_line(1.0)),
        "decoder-vanishes": Case(0.2, {"rate": 0.05}, 0.05),
        "encoder-does-not": Case(2, {"spread": 5.0}, 5),
        "dependency-post": Case(0.3, {"post_share": 0.6}, 0.6),
        "dependency-pre": Case(1.3, {"off": 3.0}, 3),
        "dependency-admin": Case(1.2, {"admin_share": 4.0}, 4),
        "post-18": Case(0, {"post_18": "trained"}, 1),
        "admin-18": Case(1, {"admin_18": "partial"}, 0),
        "admin-relies": Case(2, {"relies": 0.5}, 0.5),
        "adam-balances": Case(np.exp(17 * 0.2) / 2, {"updates": 10.0}, np.exp(17 * 0.2) / 10),
    }

    def output_shift(self, rows):
        power = by(rows["variant"], post_ln=self.p.post, pre_ln=self.p.pre, admin=self.p.admin)
        level = by(rows["variant"], pre_ln=self.p.pre_level)
        return seeds(rows) * level * (2.0 * rows["depth"]) ** power

    def grad_norm(self, rows):
        encoder = np.where(rows["layer"] == 1, self.p.spread, 1)
        return fc2(
            rows, seeds(rows) * np.where(rows["stack"] == "encoder", encoder, np.exp(self.p.rate * rows["layer"]))
        )

    def update_norm(self, rows):
        return fc2(rows, np.where(rows["layer"] == 1, self.p.updates, 1))

    def stream_grad_relative(self, rows):
        return np.exp(rows["layer"] - rows["depth"])

    def dependency(self, rows):
        kinds = np.where(rows["stack"] == "encoder", 2, 3)
        place = kinds * (rows["layer"] - 1) + np.where(rows["site"] == "feed_forward", kinds, rows["site"].map(PLACES))
        pre = self.p.off ** np.where(place % 2, 1, -1) / place
        admin = np.where(rows["step"] == 1, self.p.admin_share, self.p.relies) * pre
        return np.select([rows["variant"] == "pre_ln", rows["variant"] == "admin"], [pre, admin], self.p.post_share)

    def dependency_map(self, rows):
        return 1 / (1 + rows["layer"])

    def outcome(self, frame):
        return by(frame["variant"], "trained", post_ln=self.p.post_18, admin=self.p.admin_18)
