"""Variants at their own learning rates, and what is read of their layers after training."""

from collections.abc import Generator, Mapping
from typing import Any, ClassVar

import pandas as pd

from normexp.studies.rows import after_training
from normexp.studies.statistics import LEARNED, learned, paired, per_seed
from normexp.studies.study import Part, Runs, Study, asked, at_own_rates, best_lr
from normexp.views.grid import where

RISE = "share of the second half of the layers in the summed rise of the loss when one is left out"


class Tuned(Study):
    """For a study whose part `runs` trains each variant at its best rate.

    rates: those that are known. The part `rates` searches the others, on a seed that gives no result.
    """

    rates: ClassVar[Mapping[str, float]]

    def plan(self) -> Generator[Part, Runs, None]:
        """First the parts that need no rate, then the rates, then the runs, one sweep per rate."""
        yield from (part for name, part in self.parts.items() if name not in ("rates", "runs"))
        chosen = {**self.rates, **best_lr((yield self.parts["rates"]).frame)}
        yield from at_own_rates(self.parts["runs"], chosen)

    def measured(self, statistic: str, **keys: Any) -> pd.DataFrame:
        """The rows of a statistic of all runs, at the start and after training; variants in the order of the part."""
        order = asked(self.parts["runs"], "variant").index
        rows = pd.concat([runs.layers(statistic, **keys) for runs in self._parts()])
        return rows.sort_values("variant", key=lambda names: names.map(order), kind="stable", ignore_index=True)

    def trained(self, statistic: str, variant: str = "", **keys: Any) -> pd.DataFrame:
        """The rows after training; those of one variant if it is named."""
        rows = after_training(self.measured(statistic, **keys))
        return where(rows, variant=variant) if variant else rows

    def moments(self, statistic: str, **keys: Any) -> pd.DataFrame:
        """All rows, with `moment` for the columns of a figure: at the start, after training."""
        rows = self.measured(statistic, **keys)
        return rows.assign(moment=(rows["step"] == rows["steps"]).map({False: "at the start", True: "after training"}))

    def more_than_pre(self, variant: str) -> list[float]:
        """RISE of a variant − that of Pre-LN, seed by seed."""
        self.needs(LEARNED, learned(self.frame(), {"variant": variant}, {"variant": "pre_ln"}))
        return paired(*(share_of_second_half(self.trained("skip_rise", name)) for name in (variant, "pre_ln")))

    def frame(self) -> pd.DataFrame:
        """One row per run at its variant's own rate."""
        return pd.concat([runs.frame for runs in self._parts()])

    def _parts(self) -> list[Runs]:
        return [self.runs[name] for name in self.runs if name.startswith("runs")]


def share_of_second_half(rows: pd.DataFrame) -> pd.Series:
    """The sum over the second half of the layers, over that of all, by seed."""
    second = rows[rows["layer"] > rows["depth"] / 2]
    return second.groupby("seed")["value"].sum() / rows.groupby("seed")["value"].sum()


def halves(rows: pd.DataFrame) -> list[float]:
    """The mean over the second half of the layers, over that of the first, of every seed."""

    def ratio(seed: pd.DataFrame) -> float:
        means = seed.groupby(seed["layer"] > seed["depth"] / 2)["value"].mean()
        return float(means[True] / means[False])

    return per_seed(rows, ratio)
