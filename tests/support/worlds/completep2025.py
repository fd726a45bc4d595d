"""One learning rate suits every depth, with CompleteP alone."""

import numpy as np

from tests.support.synthetic import Case, World, seeds


def parametrisation(rows):
    """The exponent of the add-on of these rows; None without it."""
    if "addon" not in rows:
        return None
    return 0.5 if "addon.complete_p.exponent" in rows else 1.0


class CompleteP2025(World):
    study = "completep2025"
    figures = ("coordinates", "stream_coordinates", "rates")
    paper = {
        "complete_moves": 0.02, "mup_moves": 0.05, "standard_moves": 0.5,
        "complete_streams": -0.02, "mup_streams": -0.05, "standard_streams": 0.8,
        "complete_cost": 0.0, "mup_cost": 0.2, "lower": 0.1,
    }  # fmt: skip
    cases = {
        "complete-p-moves-alike": Case(0.02, {"complete_moves": 0.3}, 0.3),
        "depth-mup-moves-alike": Case(0.05, {"mup_moves": 0.3}, 0.3),
        "standard-moves-more": Case(0.5, {"standard_moves": 0.1}, 0.1),
        "complete-p-moves-streams-alike": Case(-0.02, {"complete_streams": 0.3}, 0.3),
        "depth-mup-moves-streams-alike": Case(-0.05, {"mup_streams": 0.3}, 0.3),
        "standard-moves-streams-more": Case(0.8, {"standard_streams": 0.1}, 0.1),
        "complete-p-transfers": Case(0.0, {"complete_cost": 0.3}, 0.3),
        "depth-mup-transfers-worse": Case(0.2, {"mup_cost": 0.0, "complete_cost": 0.1}, -0.1),
        "complete-p-beats-standard": Case(-0.1, {"lower": -0.2}, 0.2),
    }

    def model_update(self, rows):
        power = {None: self.p.standard_moves, 0.5: self.p.mup_moves, 1.0: self.p.complete_moves}
        at_end = rows["step"] == rows["steps"]
        return seeds(rows) * np.where(at_end, rows["depth"] ** power[parametrisation(rows)], 7.0)

    def stream_update(self, rows):
        power = {None: self.p.standard_streams, 0.5: self.p.mup_streams, 1.0: self.p.complete_streams}
        at_end = rows["step"] == rows["steps"]
        return seeds(rows) * np.where(at_end, rows["depth"] ** power[parametrisation(rows)], 7.0)

    def valid_loss(self, frame):
        """At 2 layers 1.2e-2 is best; at the deepest a rate half as large, by the cost of keeping the other."""
        if "lr" not in frame or (frame["depth"].nunique() == 1 and frame["depth"].max() == 3):
            return super().valid_loss(frame)
        which, octaves = parametrisation(frame), np.log2(frame["lr"] / 1.2e-2).round()
        cost = {None: 0.3, 0.5: self.p.mup_cost, 1.0: self.p.complete_cost}[which]
        deep = np.where(octaves == 0, cost, np.where(octaves == -1, 0, 1))
        base = 0.3 - (which == 1.0) * (self.p.lower - 0.3 + self.p.complete_cost)
        shallow = np.where(octaves == 0, 0, 0.5)
        return base + np.where(frame["depth"] == 2, shallow, deep) + 0.01 * frame["seed"]
