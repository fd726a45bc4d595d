"""Pre-LN's variance explodes in training, its deep layers turn the stream little; the remedies do better."""

import numpy as np

from tests.support.synthetic import Case, World, by, seeds
from tests.support.worlds.depth_use2025 import halves


def straight_less_exponential(straight, exponential):
    """R² of a line − R² of an exponential, of values at the layers 1 to 12 that are one of both."""
    layer = np.arange(1, 13)
    value = 1 + layer if straight else np.exp(exponential * layer)
    return np.corrcoef(layer, value)[0, 1] ** 2 - np.corrcoef(layer, np.log(value))[0, 1] ** 2


class CurseOfDepth2025(World):
    study = "curse_of_depth2025"
    figures = ("variance", "angles", "skip_rise")
    paper = {
        "start": True, "end": False,  # whether Pre-LN's variance is a line, and an exponential if not
        "pre": 0.5, "scaling": 0.1, "peri": 0.2,  # exponents
        "turns": 0.4, "scaling_turns": 0.8, "pre_use": 0.3, "mix_use": 0.5, "peri_use": 0.45,
    }  # fmt: skip
    cases = {
        "pre-starts-linear": Case(straight_less_exponential(True, 0), {"start": False},
                                  straight_less_exponential(False, 0.5)),
        "pre-ends-exponential": Case(straight_less_exponential(False, 0.5), {"end": True},
                                     straight_less_exponential(True, 0)),
        "scaling-grows-less": Case(np.exp(11 * 0.4), {"scaling": 0.6}, np.exp(-11 * 0.1)),
        "peri-grows-less": Case(np.exp(11 * 0.3), {"peri": 0.6}, np.exp(-11 * 0.1)),
        "pre-turns-less": Case(0.4, {"turns": 2.0}, 2),
        "scaling-turns-more": Case(2, {"scaling_turns": 0.2}, 0.5),
        "mix-uses-more": Case(0.2, {"mix_use": 0.1}, -0.2),
        "peri-uses-more": Case(0.15, {"peri_use": 0.1}, -0.2),
    }  # fmt: skip

    def stream_norm(self, rows):
        at_end, layer = rows["step"] == rows["steps"], rows["layer"]
        power = by(rows["variant"], 0.3, pre_ln=self.p.pre, layer_norm_scaling=self.p.scaling, peri_ln=self.p.peri)
        straight = (rows["variant"] == "pre_ln") & np.where(at_end, self.p.end, self.p.start)
        value = np.where(straight, 1 + layer, np.exp(power * layer))
        return seeds(rows) * np.where(rows["site"] == "feed_forward", value, 7.0)

    def angular_distance(self, rows):
        return halves(rows, 1, by(rows["variant"], self.p.turns, layer_norm_scaling=self.p.scaling_turns))

    def skip_rise(self, rows):
        share = by(rows["variant"], self.p.pre_use, mix_ln=self.p.mix_use, peri_ln=self.p.peri_use)
        return halves(rows, 1 - share, share)
