"""Peri-LN grows by 1 per sub-layer and stays linear, Pre-LN has larger entries, more spikes and a higher loss."""

import numpy as np

from tests.support.synthetic import Case, World, by, seeds

LINEAR = np.arange(1, 13)


def straight_less_exponential(value):
    """R² of a line − R² of an exponential, of values at the layers 1 to 12."""
    return np.corrcoef(LINEAR, value)[0, 1] ** 2 - np.corrcoef(LINEAR, np.log(value))[0, 1] ** 2


class PeriLN2025(World):
    study = "peri_ln2025"
    figures = ("growth", "activations", "losses", "curves")
    paper = {
        "slope": 1.0, "straight": True, "pre_entry": 30.0, "peri_entry": 10.0,
        "peri_spikes": 0, "pre_spikes": 2, "lower": 0.05, "peri_cost": 0.1, "pre_cost": 0.3,
    }  # fmt: skip
    cases = {
        "peri-adds-one": Case(1, {"slope": 2.0}, 2),
        "peri-ends-linear": Case(straight_less_exponential(1.0 * LINEAR), {"straight": False},
                                 straight_less_exponential(np.exp(0.5 * LINEAR))),
        "pre-has-larger-entries": Case(3, {"pre_entry": 5.0}, 0.5),
        "peri-spikes-less": Case(-0.02, {"peri_spikes": 5}, 0.03),
        "peri-lower-loss": Case(-0.05, {"lower": -0.1}, 0.1),
        "peri-less-sensitive": Case(-0.2, {"peri_cost": 0.6}, 0.3),
    }  # fmt: skip

    def stream_norm(self, rows):
        """At the start a line over the sub-layers, from 1 before the first; after training as planted for Peri-LN."""
        if not rows["steps"].iloc[0]:
            number = np.where(rows["layer"] == 0, 0, 2 * rows["layer"] - (rows["site"] == "attention"))
            return 1 + 0.01 * rows["seed"] + self.p.slope * number
        straight = (rows["variant"] != "peri_ln") | self.p.straight
        return seeds(rows) * np.where(straight, rows["layer"].astype(float), np.exp(0.5 * rows["layer"]))

    def activation_max(self, rows):
        """Larger at the highest rate; the planted number is that of the last layer."""
        entry = by(rows["variant"], 1.0, peri_ln=self.p.peri_entry, pre_ln=self.p.pre_entry)
        at_end = (rows["step"] == rows["steps"]) & (rows["lr"] == rows["lr"].max())
        return np.where(at_end, entry * rows["layer"] / rows["depth"], 500.0)

    def train_nll(self, rows):
        """Noise of one size, with spikes every seventeen steps from step 120 on."""
        count = by(rows["variant"], 0, peri_ln=self.p.peri_spikes, pre_ln=self.p.pre_spikes)
        since, every = rows["step"] - 120, 17
        spike = (since % every == 0) & (since >= 0) & (since < every * count) & (rows["lr"] == rows["lr"].max())
        return 1 + 0.001 * (rows["step"] * 7 % 11) + 10.0 ** (since / every + 1) * spike

    def valid_loss(self, frame):
        """The best rate is 2.4e-2; the others cost what makes the planted mean of all rates."""
        cost = by(frame["variant"], 0.0, peri_ln=self.p.peri_cost, pre_ln=self.p.pre_cost)
        lower, rates = by(frame["variant"], 0.0, peri_ln=self.p.lower), frame["lr"].nunique()
        return 0.5 + 0.01 * frame["seed"] - lower + np.where(frame["lr"] == 2.4e-2, 0, cost * rates / (rates - 1))
