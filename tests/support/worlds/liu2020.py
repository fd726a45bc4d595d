"""What Liu et al. would have found in our tables."""

import numpy as np

from tests.support.synthetic import Case, World, by, fc2, seeds

SUBLAYERS = np.array([4, 8, 16, 32, 64])
LAYERS = np.arange(1, 19)
PLACES = {"attention": 1, "cross_attention": 2}


def shift(sublayers, power, bend=0.0):
    """A power law that bends on logarithmic axes."""
    return np.exp(power * np.log(sublayers) + bend * np.log(sublayers) ** 2)


def slope(power, bend=-0.02):
    return np.polyfit(np.log(SUBLAYERS), np.log(shift(SUBLAYERS, power, bend)), 1)[0]


def log_beats_line(power, bend=0.0):
    """By correlations, whose squares are the R² of straight lines."""
    shifts = shift(SUBLAYERS, power, bend)
    return np.corrcoef(np.log(SUBLAYERS), shifts)[0, 1] ** 2 - np.corrcoef(SUBLAYERS, shifts)[0, 1] ** 2


def straight(wiggle):
    """R² of a line through layers whose log gradient goes up and down."""
    return np.corrcoef(LAYERS, 0.2 * LAYERS + wiggle * (-1.0) ** LAYERS)[0, 1] ** 2


class Liu2020(World):
    study = "liu2020"
    figures = ("output_shift", "relative_gradients", "dependency_6", "dependency_18", "dependency_in_training")
    paper = {
        "post": 1.0, "pre": 0.2, "bend": -0.02, "admin": 0.15, "pre_level": 1.0,  # of the change by sub-layers
        "rate": 0.2, "wiggle": 0.0, "bottom": 1.5, "updates": 2.0,  # gradients of decoder and encoder; updates
        "post_share": 0.5, "even": 0.0, "fall": 1.0, "rows": 0.02, "relies": 2.0,  # of the own branch
        "post_18": "stuck", "admin_18": "trained",
    }  # fmt: skip
    cases = {
        "shift-post": Case(1.0, {"post": 0.5}, 0.5),
        "shift-pre": Case(1 - slope(0.2), {"pre": 0.9}, 1 - slope(0.9)),
        "shift-admin": Case(0.15 - slope(0.2), {"admin": 0.6}, 0.6 - slope(0.2)),
        "shift-64": Case(64 / shift(64, 0.2, -0.02), {"pre_level": 100.0}, 0.64 / shift(64, 0.2, -0.02)),
        "shift-log": Case(log_beats_line(0.2, -0.02), {"pre": 1.2}, log_beats_line(1.2, -0.02)),
        "shift-log-admin": Case(log_beats_line(0.15), {"admin": 1.0}, log_beats_line(1.0)),
        "shift-bends": Case(-0.02 * np.log(64), {"bend": 0.05}, 0.05 * np.log(64)),
        "shift-ratio-rises": Case(1 - slope(0.2), {"pre": 1.3}, 1 - slope(1.3)),
        "decoder-vanishes": Case(0.2, {"rate": 0.05}, 0.05),
        "decoder-exponential": Case(1, {"wiggle": 2.0}, straight(2.0)),
        "encoder-does-not": Case(1.5, {"bottom": 0.5}, 0.5),
        "dependency-post": Case(0.5, {"post_share": 0.3}, 0.3),
        "dependency-post-even": Case(0, {"even": -0.5}, -0.5),
        "dependency-pre": Case(-1, {"fall": 0.5}, -0.5),
        "dependency-rows": Case(0.02, {"rows": 0.2}, 0.2),
        "post-18": Case(0, {"post_18": "trained"}, 1),
        "admin-18": Case(1, {"admin_18": "partial"}, 0),
        "admin-relies": Case(2, {"relies": 0.5}, 0.5),
        "adam-balances": Case(np.exp(17 * 0.2) / 2, {"updates": 10.0}, np.exp(17 * 0.2) / 10),
    }

    def output_shift(self, rows):
        power = by(rows["variant"], post_ln=self.p.post, pre_ln=self.p.pre, admin=self.p.admin)
        level, bend = by(rows["variant"], pre_ln=self.p.pre_level), by(rows["variant"], 0.0, pre_ln=self.p.bend)
        return seeds(rows) * level * shift(2.0 * rows["depth"], power, bend)

    def grad_norm(self, rows):
        return fc2(rows, seeds(rows) * np.exp(self.p.rate * rows["layer"]))

    def stream_grad_norm(self, rows):
        decoder = np.exp(self.p.rate * rows["layer"] + self.p.wiggle * (-1.0) ** rows["layer"])
        encoder = np.where(rows["layer"] == 1, self.p.bottom, 1)
        at_end = np.where(rows["site"] == "feed_forward", 1, 9 * rows["layer"])
        return seeds(rows) * at_end * np.where(rows["stack"] == "encoder", encoder, decoder)

    def update_norm(self, rows):
        return fc2(rows, np.where(rows["layer"] == 1, self.p.updates, 1))

    def stream_grad_relative(self, rows):
        return np.exp(rows["layer"] - rows["depth"])

    def dependency(self, rows):
        place = self.place(rows)
        pre = place ** (-self.p.fall)
        admin = np.where(rows["step"] == 1, 1, self.p.relies) * pre
        post = self.p.post_share * place**self.p.even
        return np.select([rows["variant"] == "pre_ln", rows["variant"] == "admin"], [pre, admin], post)

    def dependency_map(self, rows):
        return np.sqrt((1 + self.p.rows) / (self.place(rows) + 1))

    def place(self, rows):
        """Of a sub-layer in its stack, from 1."""
        kinds = np.where(rows["stack"] == "encoder", 2, 3)
        return kinds * (rows["layer"] - 1.0) + np.where(rows["site"] == "feed_forward", kinds, rows["site"].map(PLACES))

    def outcome(self, frame):
        return by(frame["variant"], "trained", post_ln=self.p.post_18, admin=self.p.admin_18)
