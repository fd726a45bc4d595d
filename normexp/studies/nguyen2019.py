"""Pre-LN, smaller weights and norms with one scalar let a Transformer train without tears."""

from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.claim import Claim
from normexp.studies.rows import GEOMETRIC, LOSS, loss_curves
from normexp.studies.statistics import finals, paired, per_seed, trained
from normexp.studies.study import Runs, Study
from normexp.views.grid import where
from normexp.views.line_plot import line_plot

PAPER = "Nguyen & Salazar 2019"
SPIKE, WINDOW = 5, 21  # a spike: so many times the running median over so many steps


class Nguyen2019(Study):
    """Nguyen & Salazar 2019, Transformers without Tears."""

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        yield (
            "gradient_trace",
            line_plot(
                runs["trace"].curves("grad_norm", split="train"),
                "step",
                title=f"Gradient norm of every step ({PAPER}, figure 2; {self.size})",
                settings=runs["trace"].heading("variant"),
                caption="Norm of the whole gradient, before clipping. " + GEOMETRIC,
                label="gradient norm",
                log="y",
            ),
        )
        yield (
            "without_warmup",
            line_plot(
                loss_curves(runs["cold"]),
                "step",
                column="depth",
                title=f"Training loss without warm-up ({PAPER}, table 5; {self.size})",
                settings=runs["cold"].heading("variant", "depth"),
                caption=LOSS,
                label="nats per token",
            ),
        )
        yield (
            "init",
            line_plot(
                loss_curves(runs["init"]),
                "step",
                column="init",
                title=f"Training loss at 18 layers under two initialisations ({PAPER}, table 2; {self.size})",
                settings=runs["init"].heading("variant", "init"),
                caption=LOSS,
                label="nats per token",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        yield from _cold(runs["cold"].frame)
        yield from _init(runs["init"].frame)
        yield from _norm(runs["norm"].frame)
        yield from _trace(runs["trace"])


def _cold(frame: pd.DataFrame) -> Iterator[Claim]:
    share = "share of the runs of 4 to 6 layers without warm-up that are trained"
    yield Claim(
        "pre-cold",
        "Pre-LN of 4 to 6 layers trains without warm-up.",
        f"{PAPER}, table 5",
        share,
        per_seed(where(frame, variant="pre_ln"), lambda seed: float((seed["outcome"] == "trained").mean())),
        low=1,
        training=True,
    )
    yield Claim(
        "post-cold",
        "Post-LN of 6 layers does not.",
        f"{PAPER}, table 5",
        "share of the runs of 6 layers without warm-up that are trained",
        trained(frame, variant="post_ln", depth=6),
        high=0,
        training=True,
    )
    four, six = (finals(frame, variant="post_ln", depth=depth) for depth in (4, 6))
    yield Claim(
        "post-cold-deeper",
        "Without warm-up Post-LN gets worse from 4 to 6 layers.",
        f"{PAPER}, table 5 (18.3 BLEU, then failure)",
        "final loss with 6 less that with 4 layers, nats per token",
        paired(six, four),
        low=0.1,
        training=True,
    )


def _init(frame: pd.DataFrame) -> Iterator[Claim]:
    small, xavier = (trained(frame, variant="post_ln", init=init) for init in ("small", "xavier_normal"))
    yield Claim(
        "small-saves",
        "Smaller attention weights let Post-LN train where Xavier's do not.",
        f"{PAPER}, table 2",
        "share of the runs of 18 layers that are trained, SmallInit's less Xavier's",
        [a - b for a, b in zip(small, xavier, strict=True)],
        low=1,
        training=True,
    )
    yield Claim(
        "pre-indifferent",
        "Pre-LN trains as well under either.",
        f"{PAPER}, table 2",
        "final loss at 18 layers, SmallInit's less Xavier's, nats per token",
        paired(*(finals(frame, variant="pre_ln", init=init) for init in ("small", "xavier_normal"))),
        -0.05,
        0.05,
        training=True,
    )


def _norm(frame: pd.DataFrame) -> Iterator[Claim]:
    def final(norm: str, fixed: bool) -> pd.Series:
        return finals(frame, variant="pre_ln", norm=norm, **{"model.fix_norm": fixed})

    yield Claim(
        "fix-norm",
        "Word vectors of fixed length do not hurt Pre-LN.",
        f"{PAPER}, table 3",
        "final loss with FixNorm less that without, nats per token",
        paired(final("layer_norm", True), final("layer_norm", False)),
        high=0,
        training=True,
    )
    yield Claim(
        "scale-norm",
        "ScaleNorm with FixNorm is at least as good as LayerNorm.",
        f"{PAPER}, table 3",
        "final loss with ScaleNorm and FixNorm less that with LayerNorm, nats per token",
        paired(final("scale_norm", True), final("layer_norm", False)),
        high=0,
        training=True,
    )


def _trace(runs: Runs) -> Iterator[Claim]:
    rows = runs.curves("grad_norm", split="train")
    post, pre = (where(rows, variant=variant) for variant in ("post_ln", "pre_ln"))
    yield Claim(
        "post-spikes",
        "Post-LN's gradient norm has more spikes than Pre-LN's.",
        f"{PAPER}, figure 2",
        f"steps above {SPIKE} times the running median of {WINDOW} steps, Post-LN's less Pre-LN's",
        [a - b for a, b in zip(per_seed(post, spikes), per_seed(pre, spikes), strict=True)],
        low=1,
        training=True,
    )
    yield Claim(
        "pre-smaller",
        "Pre-LN's gradient norm is the smaller one.",
        f"{PAPER}, figure 2",
        "median over all steps, Pre-LN's over Post-LN's",
        [
            a / b
            for a, b in zip(
                per_seed(pre, lambda seed: float(seed["value"].median())),
                per_seed(post, lambda seed: float(seed["value"].median())),
                strict=True,
            )
        ],
        high=1,
        training=True,
    )


def spikes(rows: pd.DataFrame) -> float:
    """Steps whose value is more than SPIKE times the running median."""
    values = rows.sort_values("step")["value"]
    return float((values > SPIKE * values.rolling(WINDOW, center=True, min_periods=1).median()).sum())
