import re
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from normexp.data.digits import digits
from normexp.data.vocabulary import EOS, SPECIAL


def pixels(corpus):
    """The values of all images, by their class, as a sorted list."""
    rows = [(row["target"], row["text"]) for split in corpus.splits.values() for row in split]
    return sorted((label, [int(value) for value in text.replace("-", " ").split()]) for label, text in rows)


@pytest.mark.slow
def test_an_image_is_64_steps_of_17_greys():
    corpus = digits()
    assert corpus.vocabulary.tokens[4:] == tuple(map(str, range(17)))
    bundled = load_digits()
    images = bundled.images.astype(int).reshape(-1, 64).tolist()
    assert pixels(corpus) == sorted(zip(bundled.target.tolist(), images, strict=True))
    row = corpus.splits["test"][0]
    assert row["source"] == [*(len(SPECIAL) + int(value) for value in row["text"].split()), EOS]
    assert len(row["source"]) == 65


@pytest.mark.slow
def test_an_image_is_16_patches():
    corpus = digits(patches=True)
    assert len(corpus.vocabulary) == 4 + 4**4
    image = load_digits().images[0].astype(int) * 4 // 17
    first = [image[0, 0], image[0, 1], image[1, 0], image[1, 1]]
    second = [image[0, 2], image[0, 3], image[1, 2], image[1, 3]]
    below = [image[2, 0], image[2, 1], image[3, 0], image[3, 1]]
    patches = ["-".join(map(str, patch)) for patch in (first, second, below)]
    texts = [row["text"].split() for split in corpus.splits.values() for row in split if row["target"] == 0]
    assert [text for text in texts if [text[0], text[1], text[4]] == patches]
    assert {len(row) for row in corpus.splits["train"]["source"]} == {17}


@pytest.mark.slow
def test_images_are_held_out_whatever_the_tokens():
    labels = [digits(**options).splits["test"]["target"][:] for options in ({}, {"patches": True}, {"levels": 2})]
    assert labels[0] == labels[1] == labels[2]
    corpus = digits()
    assert sum(corpus.splits.num_rows.values()) == 1797
    assert corpus.splits["train"].num_rows == pytest.approx(0.8 * 1797, rel=0.02)
    assert corpus.baselines == pytest.approx({"class_prior": 2.3, "blind": 2.3, "floor": 0.0}, abs=0.01)
    assert set(corpus.sources) == {"scikit-learn"}


@pytest.mark.slow
def test_the_nearest_image_is_nearly_always_of_its_class():
    corpus = digits()
    (train, classes), (test, right) = (
        (np.array(corpus.splits[name]["source"][:]), np.array(corpus.splits[name]["target"][:]))
        for name in ("train", "test")
    )
    nearest = ((test[:, None] - train[None]) ** 2).sum(-1).argmin(1)
    assert (classes[nearest] == right).mean() > 0.95


@pytest.mark.slow
def test_a_seed_changes_the_order_alone():
    one, other = digits(), digits(seed=1)
    assert one.digest == digits().digest != other.digest
    assert sorted(one.splits["test"]["text"]) == sorted(other.splits["test"]["text"])


@pytest.mark.parametrize("levels", [1, 18])
def test_levels_out_of_range(levels):
    with pytest.raises(ValueError, match=f"data.levels must be between 2 and 17; got {levels}"):
        digits(levels=levels)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ValueError, match=re.escape("pip install 'normexp[tabular]'")):
        digits()
