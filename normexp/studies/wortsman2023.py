"""How much the final loss depends on the learning rate, and what makes it depend less."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.claim import Claim
from normexp.studies.rows import GEOMETRIC, MEANS
from normexp.studies.statistics import finals, per_seed
from normexp.studies.study import Runs, Study
from normexp.views.grid import where
from normexp.views.line_plot import line_plot

PAPER = "Wortsman et al. 2023"
NAMES = {"rates": "as it is", "qk_norm": "norms on queries and keys", "cold": "no warm-up", "deeper": "12 layers"}


class Wortsman2023(Study):
    """Wortsman et al. 2023, Small-scale proxies for large-scale Transformer training instabilities."""

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        yield (
            "rates",
            line_plot(
                capped(runs["rates"]),
                "lr",
                title=f"Final loss against learning rate ({PAPER}, figure 1; {self.size})",
                settings=runs["rates"].heading("variant", "lr"),
                caption="Final training loss, at most the loss of the untrained model. " + MEANS,
                label="nats per token",
                log="xy",
            ),
        )
        scores = sensitivities(runs["rates"])
        places = {variant: place for place, variant in enumerate(dict.fromkeys(scores["variant"]), start=1)}
        yield (
            "sensitivity",
            line_plot(
                scores.assign(place=scores["variant"].map(places)),
                "place",
                title=f"Learning-rate sensitivity ({PAPER}; {self.size})",
                settings=runs["rates"].heading("variant", "lr"),
                caption="Mean over the rates of the final loss (at most that of the untrained model) less the best "
                f"one. {MEANS}",
                label="nats per token",
                x_label="",
                names={place: variant.replace("_", "\n") for variant, place in places.items()},
            ),
        )
        parts = [part for part in NAMES if part in runs]
        pre = pd.concat([where(capped(runs[part]), variant="pre_ln").assign(change=NAMES[part]) for part in parts])
        yield (
            "changes",
            line_plot(
                pre,
                "lr",
                colour="change",
                title=f"Pre-LN's final loss against learning rate ({PAPER}, QK-norm and warm-up; {self.size})",
                settings=runs["rates"].heading("variant", "lr"),
                caption="Final training loss, at most the loss of the untrained model. " + MEANS,
                label="nats per token",
                log="xy",
            ),
        )
        logits = pd.concat([where(largest(runs[part]), variant="pre_ln").assign(change=NAMES[part]) for part in parts])
        yield (
            "logits",
            line_plot(
                logits,
                "lr",
                colour="change",
                title=f"Largest attention logit at the end of training, Pre-LN ({PAPER}; {self.size})",
                settings=runs["rates"].heading("variant", "lr"),
                caption="Over all heads, layers and tokens of one batch. " + GEOMETRIC,
                label="largest |logit|",
                log="xy",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        def sensitivity(part: str, variant: str) -> pd.Series:
            return where(sensitivities(runs[part]), variant=variant).set_index("seed")["value"]

        nats = "learning-rate sensitivity, nats per token"
        pre = sensitivity("rates", "pre_ln")
        yield Claim(
            "qk-norm",
            "Norms on queries and keys make the loss depend less on the learning rate.",
            f"{PAPER}, section on attention logits",
            f"{nats}, with them less without (Pre-LN)",
            list(sensitivity("qk_norm", "pre_ln") - pre),
            high=0,
            training=True,
        )
        yield Claim(
            "warm-up",
            "So does warm-up.",
            f"{PAPER}, section on warm-up",
            f"{nats}, with it less without (Pre-LN)",
            list(pre - sensitivity("cold", "pre_ln")),
            high=0,
            training=True,
        )
        yield Claim(
            "post-more",
            "Post-LN depends more on it than Pre-LN.",
            "our own, by the measure of Wortsman et al. 2023",
            f"{nats}, Post-LN's less Pre-LN's",
            list(sensitivity("rates", "post_ln") - pre),
            low=0,
            training=True,
            own=True,
        )
        yield Claim(
            "logits-grow",
            "The larger the learning rate, the larger the attention logits in the end.",
            f"{PAPER}, figure on attention logits",
            "exponent p of largest logit ∝ lr^p, up to the best rate and one beyond (Pre-LN)",
            per_seed(where(largest(runs["rates"]), variant="pre_ln"), lambda seed: _growth(seed, runs["rates"])),
            low=0.1,
            training=True,
        )
        top = {part: where(largest(runs[part]), variant="pre_ln", lr=0.1).set_index("seed")["value"]
               for part in ("rates", "qk_norm")}  # fmt: skip
        yield Claim(
            "logits-bounded",
            "With norms on queries and keys they stay smaller at a rate that is too large.",
            f"{PAPER}, figure on attention logits",
            "largest logit at lr 0.1, with them over without (Pre-LN); a diverged run counts as infinite",
            [0.0 if math.isinf(b) and not math.isinf(a) else a / b
             for a, b in zip(top["qk_norm"], top["rates"], strict=True)],
            high=1,
            training=True,
        )  # fmt: skip
        deeper = list(sensitivity("deeper", "pre_ln") - pre) if "deeper" in runs else []
        yield Claim(
            "depth",
            "The deeper the stack, the more the loss depends on it.",
            f"{PAPER}, section on depth and width",
            f"{nats}, 12 layers less 6 (Pre-LN)",
            deeper,
            low=0,
            training=True,
            why="" if deeper else "12 layers at seven rates are in the full size only.",
        )


def capped(runs: Runs) -> pd.DataFrame:
    """Final loss of every run, at most the loss of its untrained model."""
    curves = runs.curves("nll", split="train")
    first = curves[curves["step"] == 1].set_index("folder")["value"]
    loss = runs.frame["final_loss"].astype(float).fillna(np.inf)
    return runs.frame.assign(value=np.minimum(loss, runs.frame["folder"].map(first)))


def sensitivities(runs: Runs) -> pd.DataFrame:
    """Mean over the learning rates of loss − best loss, per variant and seed."""
    losses = capped(runs).groupby(["variant", "seed"], sort=False)["value"]
    return (losses.mean() - losses.min()).reset_index()


def largest(runs: Runs) -> pd.DataFrame:
    """The largest attention logit of the last measured step of every run; infinite where the run diverged."""
    rows = runs.layers("attention_logit_max")
    last = rows[rows["step"] == rows.groupby("folder")["step"].transform("max")]
    values = last.groupby(["folder", "variant", "lr", "seed"], sort=False)["value"].max().reset_index()
    diverged = set(runs.frame.loc[runs.frame["outcome"] == "diverged", "folder"])
    return values.assign(value=values["value"].where(~values["folder"].isin(diverged), np.inf))


def _growth(seed: pd.DataFrame, runs: Runs) -> float:
    """Exponent of the largest logit over the rates up to one beyond the best."""
    number = seed["seed"].iloc[0]
    losses = {lr: finals(runs.frame, variant="pre_ln", lr=lr).get(number, np.inf) for lr in sorted(seed["lr"])}
    rates = list(losses)
    kept = rates[: rates.index(min(rates, key=losses.__getitem__)) + 2]
    rows = seed[seed["lr"].isin(kept) & np.isfinite(seed["value"])]
    return float(np.polyfit(np.log(rows["lr"]), np.log(rows["value"]), 1)[0]) if len(rows) > 1 else float("nan")
