"""Who needs warm-up, under which initial weights and at which learning rate."""

from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.figure import Figure

from normexp.config.validate import warmup_steps
from normexp.studies.claim import Claim
from normexp.studies.rows import GEOMETRIC, fc2_gradients
from normexp.studies.statistics import finals, paired
from normexp.studies.study import Runs, Study
from normexp.views import formatting
from normexp.views.grid import where
from normexp.views.heat_map import heat_map
from normexp.views.line_plot import line_plot


class Warmup(Study):
    """Who needs warm-up? Final loss over arrangement, initialisation, learning rate and warm-up."""

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        frame = runs["map"].frame
        yield (
            "warmup",
            heat_map(
                frame.assign(value=frame["final_loss"].astype(float)),
                "warmup",
                "lr",
                column="variant",
                row="init",
                letters="outcome",
                log=True,
                size=1.3,
                title=f"Final loss by warm-up and learning rate ({self.size})",
                settings=runs["map"].heading("variant", "init", "lr", "warmup"),
                caption="Mean over the seeds; outcome (T trained, P partial, S stuck, D diverged), one letter per seed "
                "where they differ.",
                label="nats per token",
                x_label="warm-up",
                y_label="lr",
            ),
        )
        yield (
            "gradients",
            line_plot(
                ends(runs["map"]),
                "layer",
                column="moment",
                row="init",
                title=f"Gradient of fc2 by decoder layer, before and after warm-up ({self.size})",
                settings=formatting.heading(where(frame, warmup="10%"), ["variant", "init", "lr", "seed"]),
                caption=f"At the first step and when a warm-up of 10 % is over; all learning rates. {GEOMETRIC}",
                label="gradient norm",
                log="y",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        frame = runs["map"].frame
        rates = sorted(frame["lr"].unique())

        def gap(variant: str, init: str, lr: float) -> list[float]:
            cold, warm = (finals(frame, variant=variant, init=init, lr=lr, warmup=warmup) for warmup in ("0", "10%"))
            return paired(cold, warm)

        nats = "rise of the final loss without warm-up, nats per token"
        yield Claim(
            "post-default",
            "Under torch's default weights Post-LN needs warm-up, too.",
            "our own, after Xiong et al. 2020",
            f"{nats} (torch_default, lr {rates[0]:g})",
            gap("post_ln", "torch_default", rates[0]),
            low=0.1,
            training=True,
            own=True,
        )
        yield Claim(
            "pre-default",
            "Pre-LN does not.",
            "our own, after Xiong et al. 2020",
            f"{nats} (torch_default, lr {rates[0]:g})",
            gap("pre_ln", "torch_default", rates[0]),
            high=0.05,
            training=True,
            own=True,
        )
        yield Claim(
            "admin-needs-none",
            "Admin needs it less than Post-LN.",
            "our own, after Liu et al. 2020",
            f"{nats}: Admin's less Post-LN's (xavier_uniform, lr {rates[0]:g})",
            [a - b for a, b in zip(*(gap(v, "xavier_uniform", rates[0]) for v in ("admin", "post_ln")), strict=True)],
            high=0,
            training=True,
            own=True,
        )
        rows = where(ends(runs["map"]), init="xavier_uniform", layer=6, lr=rates[0])
        falls = {}
        for variant in ("post_ln", "pre_ln"):
            by = where(rows, variant=variant).pivot_table(index="seed", columns="moment", values="value")
            by = by.reindex(columns=["step 1", "after warm-up"])  # where no seed got as far, there is no such column
            falls[variant] = by["after warm-up"] / by["step 1"]
        yield Claim(
            "gradients-fall",
            "Over warm-up Post-LN's gradient near the output falls by more than Pre-LN's.",
            "our own, after Xiong et al. 2020, figure 3a, b",
            "gradient of the last decoder fc2 after warm-up over that at step 1, Post-LN's over Pre-LN's",
            list(falls["post_ln"] / falls["pre_ln"]),
            high=1,
            training=True,
            own=True,
        )


def ends(runs: Runs) -> pd.DataFrame:
    """Gradients of fc2 in the decoder at the first step and at the first one measured after a warm-up of 10 %, told by
    `moment`."""
    rows = where(fc2_gradients(runs), stack="decoder", warmup="10%")
    warm = warmup_steps("10%", int(runs.frame["steps"].iloc[0]))
    after = rows.loc[rows["step"] >= warm, "step"].min()
    moments = {1: "step 1", after: "after warm-up"}
    return rows[rows["step"].isin(moments)].assign(moment=lambda part: part["step"].map(moments))
