"""Attention alone makes all tokens alike, doubly exponentially with depth; skips prevent it."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.claim import Claim
from normexp.studies.rows import GEOMETRIC, MEANS
from normexp.studies.statistics import per_seed
from normexp.studies.study import Runs, Study
from normexp.views.grid import where
from normexp.views.line_plot import line_plot

PAPER = "Dong et al. 2021"
FLOOR = 1e-13  # what float64 can tell from 0


class Dong2021(Study):
    """Dong et al. 2021, Attention is not all you need."""

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        both = pd.concat(
            [residual(part).assign(stack=name) for name, part in (("attention alone", runs["attention"]),
                                                                  ("whole layers", runs["whole"]))]
        )  # fmt: skip
        yield (
            "rank_collapse",
            line_plot(
                both[both["value"] > FLOOR],
                "layer",
                column="stack",
                title=f"Distance from tokens that are all alike ({PAPER}, figure of rank collapse; {self.size})",
                settings=runs["whole"].heading("variant"),
                caption="‖X − 1x̄ᵀ‖ / ‖X‖ of the stream, in float64, at initialisation; what lies below 1e-13 is left "
                f"out. 0 is the embedding. {GEOMETRIC}",
                label="relative residual",
                log="y",
            ),
        )
        yield (
            "token_cosine",
            line_plot(
                by_layer(runs["whole"], "token_cosine"),
                "layer",
                title=f"How alike the tokens of a text become (after {PAPER}; {self.size})",
                settings=runs["whole"].heading("variant"),
                caption="Mean cosine of two tokens of a text, at initialisation; 0 is the embedding. Post-LN "
                "collapses too, only later. " + MEANS,
                label="cosine",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        alone, whole = (residual(runs[name]) for name in ("attention", "whole"))
        drops = "smallest growth of the drop of log₁₀ residual from layer to layer"
        for name, text, rows in (
            ("attention", "Attention alone loses rank faster than geometrically.", where(alone, variant="plain")),
            ("norms", "Norms do not stop it: attention with norms does so, too.", where(alone, variant="no_residual")),
            ("layers", "Nor do feed-forwards beside norms, without skips.", where(whole, variant="no_residual")),
        ):
            yield Claim(
                f"{name}-collapse",
                text,
                f"{PAPER}, theorems and figure of rank collapse",
                drops,
                per_seed(rows, drop_growth),
                low=0,
            )
        yield Claim(
            "gone-by-4",
            "After four layers of attention alone nothing is left.",
            f"{PAPER}, figure of rank collapse",
            "relative residual at layer 4",
            at_layer(alone, 4, "plain"),
            high=1e-6,
        )
        yield Claim(
            "feed-forward-slows",
            "Feed-forwards slow the collapse down.",
            f"{PAPER}, section 3.2",
            "log₁₀ of the residual at layer 3, with feed-forwards less without",
            [float(np.log10(a) - np.log10(b)) for a, b in
             zip(at_layer(whole, 3, "plain"), at_layer(alone, 3, "plain"), strict=True)],
            low=0,
        )  # fmt: skip
        yield Claim(
            "skip-keeps",
            "With skips attention keeps its rank, without feed-forwards and norms, too.",
            f"{PAPER}, section 3.1",
            "relative residual at layer 12, attention alone",
            at_layer(alone, 12, "no_norm"),
            low=1e-2,
        )
        yield Claim(
            "pre-keeps",
            "A whole Pre-LN stack keeps most of it.",
            f"{PAPER}, figure of rank collapse",
            "relative residual at layer 12",
            at_layer(whole, 12, "pre_ln"),
            low=0.2,
        )
        yield Claim(
            "post-keeps",
            "A whole Post-LN stack keeps some of it.",
            f"{PAPER}, figure of rank collapse",
            "relative residual at layer 12",
            at_layer(whole, 12, "post_ln"),
            low=1e-2,
        )
        first, last = (
            where(by_layer(runs["whole"], "token_cosine"), variant="post_ln", layer=layer) for layer in (0, 12)
        )
        yield Claim(
            "post-alike",
            "Post-LN makes tokens more alike with depth, though it has skips.",
            "our own, after Dong et al. 2021",
            "mean cosine of two tokens at layer 12 less that of the embedding",
            list(last.set_index("seed")["value"] - first.set_index("seed")["value"]),
            low=0.1,
            own=True,
        )


def by_layer(runs: Runs, statistic: str) -> pd.DataFrame:
    """A statistic of the stream behind every layer, that is behind its last site; layer 0 is the embedding."""
    rows = runs.layers(statistic, stack="encoder")
    last = "feed_forward" if (rows["site"] == "feed_forward").any() else "attention"
    return rows[(rows["layer"] == 0) | (rows["site"] == last)]


def residual(runs: Runs) -> pd.DataFrame:
    """Dong's relative residual behind every layer."""
    return by_layer(runs, "rank_residual")


def drop_growth(seed: pd.DataFrame) -> float:
    """By how much the drop of the logarithm grows from each layer to the next, at least, above what float64 can tell.

    Above 0 the decay is faster than geometric over the whole range; NaN for fewer than two drops.
    """
    values = seed.sort_values("layer")["value"].to_numpy()
    logs = np.log10(values[values > FLOOR])
    growth = np.diff(-np.diff(logs))
    return float(growth.min()) if len(growth) else float("nan")


def at_layer(rows: pd.DataFrame, layer: int, variant: str) -> list[float]:
    """The value behind a layer, by seed."""
    return where(rows, layer=layer, variant=variant).sort_values("seed")["value"].tolist()
