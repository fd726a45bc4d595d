"""The deepest stack of each arrangement that still trains."""

from collections.abc import Generator, Iterator, Mapping

import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.claim import Claim
from normexp.studies.rows import MEANS
from normexp.studies.study import Part, Runs, Study, asked
from normexp.views import formatting
from normexp.views.grid import where
from normexp.views.heat_map import heat_map
from normexp.views.line_plot import line_plot


class DepthLimit(Study):
    """How deep can each arrangement be and still train, at one learning rate? By bisection."""

    def plan(self) -> Generator[Part, Runs, None]:
        """Of the rungs that are left to each variant, the middle one; upwards where all of its seeds train."""
        part = self.parts["depth"]
        rungs = [int(depth) for depth in asked(part, "depth")]
        bounds = {variant: (-1, len(rungs)) for variant in asked(part, "variant")}  # trains, does not
        while middles := {v: (low + high) // 2 for v, (low, high) in bounds.items() if high - low > 1}:
            middle = min(middles.values())
            group = [variant for variant, rung in middles.items() if rung == middle]
            depth = rungs[middle]
            runs = yield part.with_keys(f"depth{depth}", depth=depth, variant=",".join(group))
            for variant in group:
                low, high = bounds[variant]
                trains = (where(runs.frame, variant=variant)["outcome"] == "trained").all()
                bounds[variant] = (middle, high) if trains else (low, middle)

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        frame = together(runs)
        rows = frame.assign(value=frame["final_loss"].astype(float))
        yield (
            "depth_limit",
            heat_map(
                rows,
                "depth",
                "variant",
                column="lr",
                letters="outcome",
                log=True,
                size=0.5 + 0.28 * rows["variant"].nunique(),
                title=f"The deepest stack that trains, by bisection ({self.size})",
                settings=formatting.heading(rows, ["variant", "depth", "seed"]),
                caption="Final training loss and outcome (T trained, P partial, S stuck, D diverged; one letter per "
                "seed where they differ). White: depths that the bisection had no need of.",
                label="nats per token",
                x_label="layers in encoder and decoder",
            ),
        )
        yield (
            "loss_and_depth",
            line_plot(
                rows,
                "depth",
                title=f"Final loss against depth (after figure 6 of DeepNet and the tables of Liu et al.; {self.size})",
                settings=formatting.heading(rows, ["variant", "depth", "seed"]),
                caption=f"Final training loss at the depths that the bisection asked for. {MEANS}",
                label="nats per token",
                x_label="layers in encoder and decoder",
                log="x",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        deepest = limits(together(runs))
        names = {"pre_ln": "Pre-LN", "admin": "Admin", "deep_norm": "DeepNorm", "b2t": "B2T"}
        places = {"pre_ln": "Wang et al. 2019", "admin": "Liu et al. 2020", "deep_norm": "Wang et al. 2022 (DeepNet)"}
        for variant, name in names.items():
            yield Claim(
                f"{variant}-deeper",
                f"{name} trains at twice the depth of Post-LN.",
                f"after {places.get(variant, 'Takase et al. 2022')}, whose depths differ",
                f"deepest trained stack of the rungs tried, {name}'s over Post-LN's",
                list(deepest[variant] / deepest["post_ln"]),
                low=2,
                training=True,
                own=True,
            )


def together(runs: Mapping[str, Runs]) -> pd.DataFrame:
    """The runs of all rungs."""
    return pd.concat([part.frame for part in runs.values()], ignore_index=True)


def limits(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Per variant and seed the greatest depth whose run is trained; 1 where none is."""
    depth = frame["depth"].where(frame["outcome"] == "trained", 1).astype(float)
    deepest = frame.assign(deepest=depth).groupby(["variant", "seed"])["deepest"].max()
    return {str(variant): deepest.xs(variant) for variant in frame["variant"].unique()}
