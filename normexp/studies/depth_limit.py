"""The deepest stack of each variant that still trains."""

from collections.abc import Generator

import pandas as pd

from normexp.studies.claim import Untested
from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import NATS, drawn_finals
from normexp.studies.study import Part, Runs, Study, asked
from normexp.studies.windows import MOST
from normexp.views.grid import where
from normexp.views.heat_map import heat_map

TWICE = "share of the seeds at which the deepest trained stack is at least twice as deep as Post-LN's, untied output"


class DepthLimit(Control, Study):
    title = "How deep can each variant be and still train, at one learning rate?"

    def plan(self) -> Generator[Part, Runs, None]:
        """By bisection: of the depths that are left to each variant the middle one, then upwards if all seeds train."""
        yield self.parts["control"]
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

    @figure(
        title="The deepest stack that trains, by bisection",
        draw=heat_map,
        x="depth",
        y="variant",
        column="lr",
        letters="outcome",
        log=True,
        label=NATS,
        x_label="layers in encoder and decoder",
        caption="Final training loss and outcome (T trained, P partial, S stuck, D diverged; one letter per seed where "
        "they differ). White: depths that the bisection did not need.",
    )
    def depth_limit(self) -> Drawn:
        rows = self._losses()
        return rows, {"size": 0.5 + 0.28 * rows["variant"].nunique()}

    @figure(
        "after figure 6 of DeepNet and the tables of Liu et al.",
        title="Final loss against depth",
        x="depth",
        x_label="layers in encoder and decoder",
    )
    def loss_and_depth(self) -> Drawn:
        return drawn_finals(self._frame(), "Final training loss at the depths that the bisection asked for.", "x")

    @claim("after Wang et al. 2019, with other depths", TWICE, MOST, own=True)
    def pre_ln_deeper(self) -> Values:
        """Pre-LN trains at least at twice the depth of Post-LN."""
        return self._over_post("pre_ln")

    @claim("after Liu et al. 2020, with other depths", TWICE, MOST, own=True)
    def admin_deeper(self) -> Values:
        """Admin trains at least at twice the depth of Post-LN."""
        return self._over_post("admin")

    @claim("after Wang et al. 2022 (DeepNet), with other depths", TWICE, MOST, exploratory=True, own=True)
    def deep_norm_deeper(self) -> Values:
        """DeepNorm trains at least at twice the depth of Post-LN."""
        return self._over_post("deep_norm")

    @claim("after Takase et al. 2022, with other depths", TWICE, MOST, own=True)
    def b2t_deeper(self) -> Values:
        """B2T trains at least at twice the depth of Post-LN."""
        return self._over_post("b2t")

    def _frame(self) -> pd.DataFrame:
        parts = [self.runs[name].frame for name in self.runs if name != "control"]
        return pd.concat(parts, ignore_index=True)

    def _losses(self) -> pd.DataFrame:
        frame = self._frame()
        return frame.assign(value=frame["final_loss"].astype(float))

    def _over_post(self, variant: str) -> Values:
        frame = self._frame()
        deepest = limits(frame)
        self.needs(
            "twice the depth of Post-LN's limit was tried.", 2 * deepest["post_ln"].max() <= frame["depth"].max()
        )
        if variant not in deepest:
            raise Untested(f"The runs of {variant} are in the full size only.")
        return [float(depth >= 2 * post) for depth, post in zip(deepest[variant], deepest["post_ln"], strict=True)]


def limits(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Per variant and seed the greatest depth whose run is trained; 1 where none is."""
    depth = frame["depth"].where(frame["outcome"] == "trained", 1).astype(float)
    deepest = frame.assign(deepest=depth).groupby(["variant", "seed"])["deepest"].max()
    return {str(variant): deepest.xs(variant) for variant in frame["variant"].unique()}
