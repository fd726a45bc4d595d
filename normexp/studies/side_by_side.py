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
        for name in ("runs", "untied", "seeds"):
            if name in self.parts:
                yield from at_own_rates(self.parts[name], chosen)

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        """Two maps: the output matrix tied to the word vectors, with runs from two kinds of parts, and untied."""
        yield "side_by_side", self._map(runs, "tied", ("runs", "seeds"))
        if any(name.startswith("untied") for name in runs):
            yield "side_by_side_untied", self._map(runs, "untied", ("untied",))

    def _map(self, runs: Mapping[str, Runs], matrix: str, kinds: tuple[str, ...]) -> Figure:
        """Its caption counts the seeds. kinds: the first word of the names of its parts."""
        done = pd.concat([part.frame for name, part in runs.items() if name.startswith(kinds)], ignore_index=True)
        rates = runs["rates"].frame
        rates = rates[rates["variant"].isin(done["variant"])]
        seeds = sorted(done["seed"].unique())
        depths = sorted(done["depth"].unique())
        several = f", seeds {', '.join(map(str, seeds))} where ± is given" if len(seeds) > 1 else ""
        return outcome_map(
            rates,
            done,
            title=f"Every variant at depths {' and '.join(map(str, depths))}, output matrix {matrix} ({self.size})",
            settings=formatting.heading(done.drop(columns="lr"), ["variant", "depth", "seed"]),
            caption="Colour and number: final training loss. Letter: outcome within the step budget (T trained, "
            "P partial, S stuck, D diverged; one per seed where they differ). Left: the learning rates tried at "
            "depth 6, seed 100, with a tied output matrix; the frame marks the lowest loss, whose rate the variant has "
            f"on the right. Right: seed {seeds[0]}{several}. White lines on the colour bar: baselines, what a model "
            "reaches that ignores part of the problem.",
        )
