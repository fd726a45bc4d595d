"""Classification: where a ball is after several swaps, which asks a model to compose them one after the other.

`3 0-1 1-3 1-2` says that the ball is at place 3, then what is at places 0 and 1 is exchanged, and so on: it ends at 2.
"""

from itertools import combinations
from random import Random
from typing import Any

from normexp.data.corpus import Corpus
from normexp.data.labelled import classified
from normexp.data.splits import SPLITS, sizes, split_of
from normexp.data.vocabulary import EOS, SPECIAL, Vocabulary

FEWEST = 100  # texts: one in ten is in each of the smaller parts


def track(ball: int, pairs: list[tuple[int, int]]) -> int:
    """The place of a ball after these pairs of places have exchanged what they hold, in this order."""
    for first, second in pairs:
        ball = {first: second, second: first}.get(ball, ball)
    return ball


def start_only(places: int, swaps: int) -> float:
    """The probability that the ball is where it started, after so many random swaps.

    It is the best accuracy of a model that reads the start and the number of swaps alone. A swap leaves the ball with
    probability 1 − 2/places, or takes it to any other place; repeated, this is 1/n + (1 − 1/n) (1 − 2/(n − 1))^swaps,
    for n = places from 3 on.
    """
    return 1 / places + (1 - 1 / places) * (1 - 2 / (places - 1)) ** swaps


def ball_and_swaps(places: int = 5, swaps: int = 6, examples: int = 60_000, seed: int = 0) -> Corpus:
    """Where a ball ends after 1 to `swaps` swaps of two of `places` places: 80 % train, 10 % valid, 10 % test.

    Good for one question: does a model use its depth? A token is a swap, and only their order leads to the answer. For
    five places this is the word problem of the group S₅, which is complete for NC¹ (Barrington 1989). A Transformer of
    fixed depth computes only what is in TC⁰, so that, unless the two are equal, the depth that is needed grows with the
    number of swaps; the logarithm of it is enough (Liu et al. 2022, Transformers Learn Shortcuts to Automata; Merrill
    and Sabharwal 2025, A Little Depth Goes a Long Way). A model that goes swap by swap needs a layer for each few of
    them. `swaps` is the knob.

    Start, pairs and their number are drawn uniformly, so that few swaps can be learned first and more of them later.
    Texts are held out by their sha256, so none is in two splits; a text of few swaps occurs several times in its split.
    A class is a place. `scripts/swaps.py` measures the accuracy by depth and number of swaps.

    Baselines: the class prior, which is also `blind`, ln 5 but for sampling; floor 0, because the text determines the
    answer. `start_only` gives the accuracy of a model that reads no swap: 60 % after one, 40 % after two, 21 % after
    six.

    Raises ValueError for fewer than 3 places, no swap, fewer than FEWEST texts, or fewer than 10 examples.
    """
    if places < 3:
        raise ValueError(f"data.places must be at least 3; got {places}")
    if swaps < 1:
        raise ValueError(f"data.swaps must be at least 1; got {swaps}")
    room, random = sizes("data.examples", examples), Random(seed)
    pairs = list(combinations(range(places), 2))
    texts = places * sum(len(pairs) ** count for count in range(1, swaps + 1))
    if texts < FEWEST:
        raise ValueError(
            f"data.swaps must allow at least {FEWEST} texts, so that each part has some; got {swaps} with "
            f"data.places={places}, which allows {texts}"
        )
    names = tuple(map(str, range(places)))
    vocabulary = Vocabulary(SPECIAL + names + tuple(map(_name, pairs)), str.split, " ".join)
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    while any(len(rows[split]) < room[split] for split in SPLITS):
        ball, chosen = random.randrange(places), random.choices(pairs, k=random.randint(1, swaps))
        text = " ".join([names[ball], *map(_name, chosen)])
        found = rows[split := split_of(text)]
        if len(found) < room[split]:
            found.append({"text": text, "source": [*vocabulary.encode(text), EOS], "target": track(ball, chosen)})
    return classified(rows, vocabulary, names, "exact: the text determines the answer", {})


def _name(pair: tuple[int, int]) -> str:
    return "{}-{}".format(*pair)
