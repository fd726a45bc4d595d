"""How a finished run is judged. The thresholds live here and nowhere else, and are never moved to suit a result."""

import math
from collections.abc import Sequence

LAST_SHARE = 0.05  # of the training steps, over which the final loss is the mean
STUCK_SHARE = 0.98  # of what a model reaches that ignores the source
SOURCE_GAP = 0.5  # nat that permuted sources must cost a model that reads them


def final_loss(losses: Sequence[float]) -> float:
    """Mean unsmoothed negative log-likelihood over the last 5 % of the steps.   nats per token or per text"""
    last = list(losses)[-max(1, math.ceil(LAST_SHARE * len(losses))) :]
    return sum(last) / len(last)


def judge(task: str, losses: Sequence[float], baselines: dict[str, float], source_gap: float | None) -> str:
    """trained, stuck, diverged or partial.

    losses: unsmoothed training loss of every step; levels: what ignoring part of the problem reaches;
    source_gap: rise of the validation loss when sources are permuted within the batch (translation).
    """
    final = final_loss(losses)
    if not all(map(math.isfinite, losses)) or final > losses[0]:
        return "diverged"
    if task == "classification":
        trained, blind = final <= baselines["class_prior"] / 2, baselines["class_prior"]
    elif task == "language_modelling":  # more than the token before and more than the place, for there is no source
        blind = baselines["position_only"]
        trained = final < baselines["target_bigram"] and final < STUCK_SHARE * blind
    else:
        reads = source_gap is not None and source_gap >= SOURCE_GAP
        trained, blind = final < baselines["target_bigram"] and reads, baselines["position_only"]
    if trained:
        return "trained"
    return "stuck" if final >= STUCK_SHARE * blind else "partial"
