"""Examples of a classifier: rows with a class each, also such that are no text but integers, as tokens with names."""

from collections.abc import Sequence
from typing import Any

from datasets import ClassLabel, Features, Value
from datasets import Sequence as Listed

from normexp.data.baselines import class_prior
from normexp.data.corpus import Corpus, build_corpus
from normexp.data.packages import version_of
from normexp.data.splits import SPLITS
from normexp.data.vocabulary import EOS, SPECIAL, Vocabulary

EXTRA = "tabular"  # of normexp, that installs scikit-learn


def load_bundled(name: str) -> Any:
    """A data set that scikit-learn ships, by the name of its loader without load_; nothing is downloaded.

    Raises ValueError, naming the extra that installs it, without scikit-learn.
    """
    try:
        import sklearn.datasets
    except ImportError as error:
        raise ValueError(
            f"data needs scikit-learn, which is not installed; pip install 'normexp[{EXTRA}]' installs it"
        ) from error
    return getattr(sklearn.datasets, f"load_{name}")()


def labelled(
    tokens: tuple[str, ...],
    sources: Sequence[Sequence[int]],
    targets: Sequence[int],
    split: Sequence[str],
    classes: tuple[str, ...],
) -> Corpus:
    """A corpus of rows of tokens with a class each, and the class prior as its baseline.

    tokens: their names. sources: a row of indices into them per example. targets: indices into classes.
    split: of each example.
    """
    vocabulary = Vocabulary(SPECIAL + tokens, str.split, " ".join)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SPLITS}
    for source, target, name in zip(sources, targets, split, strict=True):
        ids = [len(SPECIAL) + index for index in source]
        rows[name].append({"text": vocabulary.decode(ids), "source": [*ids, EOS], "target": int(target)})
    floor = "unknown: it is not known how far the classes overlap, so it is 0"
    return classified(rows, vocabulary, classes, floor, {"scikit-learn": version_of("sklearn")})


def classified(
    rows: dict[str, list[dict[str, Any]]],
    vocabulary: Vocabulary,
    classes: tuple[str, ...],
    floor: str,
    sources: dict[str, str],
) -> Corpus:
    """A corpus of classes whose baseline is the class prior and whose floor is 0.

    rows: of each split, with text, source (tokens) and target (index of a class). floor: how it is known to be 0.
    sources: the versions of the packages that the rows come from.
    """
    prior = class_prior([row["target"] for row in rows["train"]])
    return build_corpus(
        "classification",
        rows,
        Features(text=Value("string"), source=Listed(Value("int32")), target=ClassLabel(names=list(classes))),
        vocabulary,
        classes,
        {"class_prior": prior, "blind": prior, "floor": 0.0},
        methods={"blind": "exact: the entropy of the classes in the training part", "floor": floor},
        sources=sources,
    )
