"""Where every arrangement trains: is Post-LN then at least as good as Pre-LN?"""

import math
from collections.abc import Generator, Iterator, Mapping

import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.claim import Claim
from normexp.studies.rows import MEANS
from normexp.studies.statistics import paired, per_seed, valid_loss
from normexp.studies.study import Part, Runs, Study, at_own_rates, best_lr
from normexp.views import formatting
from normexp.views.line_plot import line_plot


class Shallow(Study):
    """Shallow stacks, each at the learning rate that suits it, until the validation loss is flat."""

    def plan(self) -> Generator[Part, Runs, None]:
        """First the rates; then the runs, one sweep per chosen rate."""
        chosen = best_lr((yield self.parts["rates"]).frame)
        yield from at_own_rates(self.parts["runs"], chosen)

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        parts = [part for name, part in runs.items() if name != "rates"]
        curves = pd.concat([part.curves("nll", split="valid") for part in parts])
        yield (
            "valid_loss",
            line_plot(
                curves,
                "step",
                column="depth",
                title=f"Validation loss of shallow stacks, each at its own learning rate ({self.size})",
                settings=formatting.heading(pd.concat([part.frame for part in parts]), ["variant", "depth", "seed"]),
                caption=f"The rate was chosen at depth 4 on seed 100. {MEANS}",
                label="nats per token",
                log="y",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        parts = {name: part for name, part in runs.items() if name != "rates"}
        frame = pd.concat([part.frame for part in parts.values()], ignore_index=True)
        curves = pd.concat([part.curves("nll", split="valid") for part in parts.values()])
        nats = "validation loss at the end, Post-LN's less Pre-LN's, nats per token"
        depths = {
            2: "our own, after Liu et al. 2020",
            6: "Liu et al. 2020, tables (27.8 against 27.3 BLEU at 6 layers)",
        }
        for depth, place in depths.items():
            yield Claim(
                f"post-{depth}",
                f"At {depth} layers, fully trained, Post-LN is at least as good as Pre-LN.",
                place,
                nats,
                paired(*(valid_loss(frame, variant=variant, depth=depth) for variant in ("post_ln", "pre_ln"))),
                high=0,
                training=True,
                own=depth != 6,
            )
        yield Claim(
            "b2t-6-pre",
            "So is B2T at 6 layers.",
            "Takase et al. 2022, table of 6 layers",
            "validation loss at the end, B2T's less Pre-LN's, nats per token",
            paired(*(valid_loss(frame, variant=variant, depth=6) for variant in ("b2t", "pre_ln"))),
            high=0,
            training=True,
        )
        yield Claim(
            "flat",
            "By then the validation loss is flat.",
            "a check of ours",
            "fall over the last tenth of the steps as a share of the loss, Post-LN and Pre-LN, largest",
            per_seed(curves[curves["variant"].isin(("post_ln", "pre_ln"))], _last_fall),
            high=0.05,
            training=True,
            own=True,
        )


def _last_fall(seed: pd.DataFrame) -> float:
    """Of every run from its last validation with a tenth of the steps left; the largest, NaN where none got there."""
    falls = []
    for _, run in seed.groupby("folder"):
        loss, steps = run.set_index("step")["value"].sort_index(), run["steps"].iloc[0]
        if loss.index[-1] == steps:  # a run that diverged before has no last tenth
            falls.append(1 - loss.iloc[-1] / loss[loss.index <= 0.9 * steps].iloc[-1])
    return max(falls, default=math.nan)
