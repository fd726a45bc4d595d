"""All variants in one map: which one trains at which depth, each at the learning rate that suits it best."""

from collections.abc import Generator, Iterator, Mapping

import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.study import Part, Runs, Study, at_own_rates, best_lr
from normexp.views import formatting
from normexp.views.outcome_map import outcome_map


class SideBySide(Study):
    title = "Which variant trains at which of two depths, each at its own learning rate?"

    def plan(self) -> Generator[Part, Runs, None]:
        """First the rates; then the runs, one sweep per chosen rate."""
        chosen = best_lr((yield self.parts["rates"]).frame)
        for name in ("runs", "seeds"):
            if name in self.parts:
                yield from at_own_rates(self.parts[name], chosen)

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        """One map: its runs come from two kinds of parts, and its caption counts their seeds."""
        rates = runs["rates"].frame
        done = pd.concat([part.frame for name, part in runs.items() if name != "rates"], ignore_index=True)
        seeds = sorted(done["seed"].unique())
        depths = sorted(done["depth"].unique())
        several = f", seeds {', '.join(map(str, seeds))} where ± is given" if len(seeds) > 1 else ""
        yield (
            "side_by_side",
            outcome_map(
                rates,
                done,
                title=f"Every variant at depths {' and '.join(map(str, depths))} ({self.size})",
                settings=formatting.heading(done.drop(columns="lr"), ["variant", "depth", "seed"]),
                caption="Colour and number: final training loss. Letter: outcome within the step budget (T trained, "
                "P partial, S stuck, D diverged; one per seed where they differ). Left: the learning rates tried at "
                "depth 6, seed 100; the frame marks the lowest loss, whose rate the variant has on the right. Right: "
                f"seed {seeds[0]}{several}. White lines on the colour bar: baselines, what a model reaches that "
                "ignores part of the problem.",
            ),
        )
