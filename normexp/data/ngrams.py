"""Baselines measured on held-out text: n-grams and position-only, with Witten-Bell smoothing.

Plug-in entropies of the training part, as in `normexp.data.baselines`, are too low where contexts are many and text is
short: an n-gram then knows its text by heart. Here the counts come from one part and the loss from another.

P(w | c) = (N(c, w) + T(c) P(w | c')) / (N(c) + T(c)): N counts in the training part, T(c) the distinct tokens that
follow c there, c' the context without its oldest token; below the unigram, all tokens are equally likely. (Witten and
Bell 1991; in this interpolated form Chen and Goodman 1999.)
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from normexp.data.vocabulary import BOS

Ids = NDArray[np.int64]
Texts = Sequence[Sequence[int]]
NAMES = ("unigram", "target_bigram", "target_trigram", "target_4gram", "target_5gram")  # by order: tokens of context


def held_out(train: Texts, held: Texts, vocabulary: int, order: int = 1) -> dict[str, float]:
    """Nats per token on `held` of models that count in `train`: unigram to n-grams of `order`, and position-only.

    vocabulary: how many tokens there are. Contexts do not reach beyond the start of a text: <bos> fills them up.
    """
    parts = train, held
    tokens = [_flat(part) for part in parts]
    contexts = [np.zeros_like(part) for part in tokens]
    shares = np.full(len(tokens[1]), 1 / vocabulary)
    losses = {}
    for size in range(order + 1):
        if size:  # one more token, further back
            contexts = [codes * vocabulary + _shifted(part, size) for codes, part in zip(contexts, parts, strict=True)]
        shares = _interpolate(shares, contexts, tokens, vocabulary)
        losses[NAMES[size]] = _loss(shares)
        if not size:
            positions = [_flat([range(len(text)) for text in part]) for part in parts]
            losses["position_only"] = _loss(_interpolate(shares, positions, tokens, vocabulary))
    return losses


def _interpolate(
    shorter: NDArray[np.float64], contexts: list[Ids], tokens: list[Ids], vocabulary: int
) -> NDArray[np.float64]:
    """The probability of every held-out token given its context, from that given a shorter one.

    contexts, tokens: of the training part and of the held-out part.
    """
    seen, counts = np.unique(contexts[0], return_counts=True)
    pairs, pair_counts = np.unique(contexts[0] * vocabulary + tokens[0], return_counts=True)
    firsts, types = np.unique(pairs // vocabulary, return_counts=True)
    total = _look_up(seen, counts, contexts[1])
    kinds = _look_up(firsts, types, contexts[1])
    together = _look_up(pairs, pair_counts, contexts[1] * vocabulary + tokens[1])
    known = total > 0
    return np.where(known, (together + kinds * shorter) / np.where(known, total + kinds, 1), shorter)


def _look_up(keys: Ids, values: Ids, wanted: Ids) -> Ids:
    """The value of each wanted key, 0 for keys that are absent."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def _shifted(texts: Texts, back: int) -> Ids:
    """For every token the one `back` places before it."""
    return _flat([[BOS] * min(back, len(text)) + list(text[:-back]) for text in texts])


def _flat(rows: Texts) -> Ids:
    return np.fromiter((i for row in rows for i in row), dtype=np.int64)


def _loss(probabilities: NDArray[np.float64]) -> float:
    return float(-np.log(probabilities).mean())
