"""Tables of a start and of a map, planted: what a card reads, without measuring anything."""

import itertools
import math

import pandas as pd

from normexp.cards.numbers import Map

DEPTHS, SEEDS = (6, 12, 24), range(5)


def start_table(**variants: tuple[float, float, float, float]) -> pd.DataFrame:
    """The rows of start.csv; for each variant the logarithm of its Jacobian, its gradient slope, the power of its
    shift, and its last residual."""
    rows = []
    for (name, planted), depth, seed in itertools.product(variants.items(), DEPTHS, SEEDS):
        jacobian, slope, power, residual = planted
        jitter = 1 + 0.02 * (seed - 2)
        at = {"variant": name, "depth": depth, "seed": seed, "stack": "decoder"}
        shift = {"layer": 0, "statistic": "output_shift", "value": depth ** (power * jitter)}
        rows.append(at | shift)
        if depth == max(DEPTHS):
            square = {"statistic": "jacobian_mean_square", "value": math.exp(jacobian * jitter)}
            rows.append(at | {"layer": 0} | square)
        for layer in range(depth + 1):
            rank = {"layer": layer, "statistic": "rank_residual", "value": jitter * residual ** (layer / depth)}
            rows.append(at | rank)
            if layer:
                gradient = {"statistic": "stream_grad_norm", "value": 0.1 * math.exp(slope * jitter * layer)}
                rows.append(at | {"layer": layer} | gradient)
    return pd.DataFrame(rows)


def planted_map(**variants: float) -> Map:
    """A map of these variants at depths 6 and 12: the loss of each at depth 6; at 12 it is 0.1 higher."""
    points = [
        {
            **{"variant": name, "depth": depth, "data": "grammar", "floor": 1.0, "blind": 3.0, "lr": 1e-3},
            **{"interior": True, "lr_fitted": 1e-3, "window": window, "window_whole": True, "tried": 5, "n": 5},
            **{"loss": loss + more, "low": loss + more - 0.05, "high": loss + more + 0.05, "trained": 1.0},
            **{"outcomes": "trained 5", "steps": 100},
        }
        for window, (name, loss) in enumerate(variants.items())
        for depth, more in ((6, 0.0), (12, 0.1))
    ]
    whole = [
        {
            **{"variant": name, "deepest_trained": 12 if loss < 2 else 6, "depths": "6 12"},
            **{"depth50": math.inf if loss < 2 else math.sqrt(6 * 12)},
            **{"drift": -loss, "drift_low": math.nan, "drift_high": math.nan, "window": 1},
        }
        for name, loss in variants.items()
    ]
    return Map(pd.DataFrame(points), pd.DataFrame(whole))
