"""How a run ended: trained, partial, stuck or diverged.

The rule and its thresholds are here and nowhere else, and are never moved to suit a result. What a run is measured
against (blind, floor, bar, position-only) belongs to the corpus: see `normexp.data.baselines`.

The first rule that applies decides:

1. diverged: a loss was not finite (a training loss, or the validation loss after the last step, which is how a broken
   last update shows), or the final loss is above 2 ln V.
2. stuck: the final loss is at least 0.98 of the position-only baseline (translation), the class prior
   (classification) or blind, the smaller of unigram and position-only (language modelling). So a run that knows no
   more than positions is never trained, even where the bar is higher: on the French dates the target bigram, 2.119
   nats, is above position-only, 1.891.
3. trained: the final loss is at most the bar. For translation, permuting the sources must also raise the validation
   loss by at least bar - floor, which is half of blind - floor.
4. partial: anything else.

A trained run may still write badly: of the runs of the reference studies, one has a BLEU of 6 (which_stack).
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

LAST_SHARE = 0.05  # of the training steps: the final loss is the mean over them
STUCK_SHARE = 0.98  # of the baseline that says what a model reaches without reading anything
DIVERGED = 2.0  # times ln V, the loss of a uniform guess
HAS_LEARNED = ("trained", "partial")  # the outcomes of runs that know more than a model that reads nothing
STUCK_AT = {"translation": "position_only", "classification": "class_prior", "language_modelling": "blind"}


def final_loss(losses: Sequence[float]) -> float:
    """Mean unsmoothed negative log-likelihood over the last 5 % of the steps.   nats per token or per text

    Raises ValueError if there is no loss.
    """
    if not losses:
        raise ValueError("A run without a training loss has no final loss.")
    last = losses[-max(1, math.ceil(LAST_SHARE * len(losses))) :]
    return sum(last) / len(last)


def train_losses(curves: pd.DataFrame) -> list[float]:
    """The unsmoothed training loss of every step, from the table `curves`.   nats per token or per text"""
    rows = curves[(curves["split"] == "train") & (curves["statistic"] == "nll")].sort_values("step")
    losses: list[float] = rows["value"].tolist()
    return losses


def is_stuck(task: str, final: float, baselines: Mapping[str, float]) -> bool:
    """Whether a loss is no lower than what a model reaches that reads nothing, within 2 %."""
    return final >= STUCK_SHARE * baselines[STUCK_AT[task]]


def judge(
    task: str,
    losses: Sequence[float],
    baselines: Mapping[str, float],
    outputs: int,
    permuted_gap: float | None = None,
    valid_loss: float | None = None,
) -> str:
    """The outcome of a run from the unsmoothed training loss of every step.

    baselines: what the corpus states for this task (`Corpus.baselines_for`).
    outputs: V, the number of tokens or classes that the model chooses from.
    permuted_gap: rise of the validation loss when sources are permuted within the batch; only translation has one.
    valid_loss: the validation loss after the last step, if there was a validation.
    """
    if not all(map(math.isfinite, losses)):
        return "diverged"
    return judge_final(task, final_loss(losses), baselines, outputs, permuted_gap, valid_loss)


def judge_final(
    task: str,
    final: float,
    baselines: Mapping[str, float],
    outputs: int,
    permuted_gap: float | None = None,
    valid_loss: float | None = None,
) -> str:
    """The outcome of a run of which only the final loss is known; arguments as in `judge`.

    Raises ValueError if the baselines lack one that the rule needs.
    """
    missing = {STUCK_AT[task], "floor", "bar"} - set(baselines)
    if missing:
        raise ValueError(f"A {task} run cannot be judged without the baseline {', '.join(sorted(missing))}.")
    finite = math.isfinite(final) and (valid_loss is None or math.isfinite(valid_loss))
    if not finite or final > DIVERGED * math.log(outputs):
        return "diverged"
    if is_stuck(task, final, baselines):
        return "stuck"
    reads = task != "translation" or (
        permuted_gap is not None and permuted_gap >= baselines["bar"] - baselines["floor"]
    )
    return "trained" if reads and final <= baselines["bar"] else "partial"


def last_validation(curves: pd.DataFrame) -> dict[str, float]:
    """What was measured on the validation part after the last training step; {} of a run that diverged before."""
    last = curves[(curves["split"] == "valid") & (curves["step"] == len(train_losses(curves)))]
    return dict(zip(last["statistic"], last["value"], strict=True))


def judge_tables(task: str, curves: pd.DataFrame, baselines: Mapping[str, float], outputs: int) -> str:
    """The outcome of a run that has ended, read off its table `curves`: also of one that an earlier rule judged."""
    losses, valid = train_losses(curves), last_validation(curves)
    gap = valid["permuted_nll"] - valid["nll"] if "permuted_nll" in valid else None
    return judge(task, losses, baselines, outputs, gap, valid.get("nll"))
