"""Levels: what a model that ignores part of the problem reaches, in nats per token.

All are plug-in entropies of the training part: the lowest mean negative log-likelihood there of a model that
sees only what the level names. Targets end in <eos>, which counts as a token.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from normexp.data.vocabulary import BOS

Ids = NDArray[np.int64]


def unigram(targets: Sequence[Sequence[int]]) -> float:
    """H(token): how often each token occurs, nothing else."""
    tokens = _flat(targets)
    return _conditional_entropy(np.zeros_like(tokens), tokens)


def position_only(targets: Sequence[Sequence[int]]) -> float:
    """H(token | position): where in the target a token stands, but neither source nor tokens before it."""
    return _conditional_entropy(_flat([range(len(target)) for target in targets]), _flat(targets))


def target_bigram(targets: Sequence[Sequence[int]]) -> float:
    """H(token | previous token), <bos> before the first: what the target alone gives away."""
    return _conditional_entropy(_flat([[BOS, *target[:-1]] for target in targets]), _flat(targets))


def class_prior(classes: Sequence[int]) -> float:
    """H(class): how often each class occurs."""
    return unigram([classes])


def _flat(rows: Sequence[Sequence[int]]) -> Ids:
    return np.fromiter((i for row in rows for i in row), dtype=np.int64)


def _conditional_entropy(context: Ids, token: Ids) -> float:
    """H(token | context) = H(context, token) - H(context), in nats."""
    return max(0.0, _entropy(context * (token.max() + 1) + token) - _entropy(context))


def _entropy(codes: Ids) -> float:
    share = np.unique(codes, return_counts=True)[1] / len(codes)
    return float(-(share * np.log(share)).sum())
