"""Free mixing explodes, doubly stochastic mixing does not; both lower the loss, and layers read different inputs."""

import numpy as np

from tests.support.synthetic import Case, World, by


class HyperConnections2024(World):
    study = "hyper_connections2024"
    figures = ("similarity", "gains", "mixing")
    paper = {"pre": 0.9, "hc": 0.6, "hc_loss": 0.1, "mhc_loss": 0.08, "hc_gain": 30.0, "mhc_gain": 1.01, "change": 0.02}
    cases = {
        "layers-less-alike": Case(-0.3, {"hc": 0.95}, 0.05),
        "lower-loss": Case(-0.1, {"hc_loss": -0.1}, 0.1),
        "constrained-lower-loss": Case(-0.08, {"mhc_loss": -0.1}, 0.1),
        "constrained-product-is-bounded": Case(1.01, {"mhc_gain": 3.0}, 3),
        "free-product-gains-more": Case(30 / 1.01, {"hc_gain": 0.5}, 0.5 / 1.01),
        "constrained-mixing-stays": Case(0.02, {"change": 0.5}, 0.5),
    }

    def valid_loss(self, frame):
        gain = by(frame["variant"], 0.0, hyper_connections=self.p.hc_loss, mhc=self.p.mhc_loss)
        return 0.5 + 0.01 * frame["seed"] - gain

    def input_cosine(self, rows):
        return at_end(rows, by(rows["variant"], self.p.pre, hyper_connections=self.p.hc))

    def forward_gain(self, rows):
        """The largest gain is in the last layer, of the gradient."""
        return at_end(rows, 0.5 * self._gain(rows))

    def backward_gain(self, rows):
        return at_end(rows, self._gain(rows) * rows["layer"] / rows["depth"])

    def mixing_change(self, rows):
        return at_end(rows, by(rows["variant"], 7.0, mhc=self.p.change))

    def _gain(self, rows):
        return by(rows["variant"], 7.0, hyper_connections=self.p.hc_gain, mhc=self.p.mhc_gain)


def at_end(rows, value):
    """After training; at the start another value, which nobody should take for it."""
    return np.where(rows["step"] == rows["steps"], value, 70.0)
