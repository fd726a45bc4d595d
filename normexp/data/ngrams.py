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

from normexp.data.examples import Ragged
from normexp.data.vocabulary import BOS

Ids = NDArray[np.int64]
Texts = Sequence[Sequence[int]] | Ragged
NAMES = ("unigram", "target_bigram", "target_trigram", "target_4gram", "target_5gram")  # by order: tokens of context
LARGEST = 2**62  # of the codes of contexts and their tokens; int64 ends a little above


def held_out(train: Texts, held: Texts, vocabulary: int, order: int = 1) -> dict[str, float]:
    """Nats per token on `held` of models that count in `train`: unigram to n-grams of `order`, and position-only.

    vocabulary: how many tokens there are. Contexts do not reach beyond the start of a text: <bos> fills them up.
    """
    parts = Ragged.of(train), Ragged.of(held)
    tokens, places = [part.flat for part in parts], [_places(part) for part in parts]
    contexts = [np.zeros_like(part) for part in tokens]
    shares = np.full(len(tokens[1]), 1 / vocabulary)
    losses = {}
    for size in range(order + 1):
        if size:  # one more token, further back
            older = [_shifted(part, place, size) for part, place in zip(tokens, places, strict=True)]
            contexts = [codes * vocabulary + part for codes, part in zip(contexts, older, strict=True)]
            if max(int(part.max()) for part in contexts) > LARGEST // vocabulary**2:
                contexts = _renumbered(contexts)
        shares = _interpolate(shares, contexts, tokens, vocabulary)
        losses[NAMES[size]] = _loss(shares)
        if not size:
            losses["position_only"] = _loss(_interpolate(shares, places, tokens, vocabulary))
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


def _places(texts: Ragged) -> Ids:
    """For every token its place in its text, from 0."""
    lengths = np.diff(texts.offsets).astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum(), dtype=np.int64) - np.repeat(starts, lengths)


def _shifted(tokens: Ids, places: Ids, back: int) -> Ids:
    """For every token the one `back` places before it."""
    return np.where(places < back, BOS, np.roll(tokens, back))


def _renumbered(contexts: list[Ids]) -> list[Ids]:
    """The same contexts, numbered without gaps, so that codes of longer ones fit into 64 bits."""
    _, numbers = np.unique(np.concatenate(contexts), return_inverse=True)
    return np.split(numbers, [len(contexts[0])])


def _loss(probabilities: NDArray[np.float64]) -> float:
    return float(-np.log(probabilities).mean())
