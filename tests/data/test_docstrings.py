import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from normexp.data.docstrings import ALPHABET, docstrings, docstrings_of, files, sentences, windows
from normexp.data.ngrams import held_out
from normexp.data.splits import split_of
from normexp.data.tokenisers import build
from normexp.data.vocabulary import EOS, UNK

FEW = {"packages": ["networkx", "numpy"], "length": 64, "sequences": 1000}
DOCSTRING = """Return the mean of the values along an axis.

    The mean is the result of :func:`~sum` over the ``number`` of elements.
    It is **always** a finite number! See also that of :ref:`a median <median>` in general.

    Parameters
    ----------
    axis : int or None, optional
        The axis along which the mean is taken. If None, all
        elements are taken at once.

    - A list item is not a sentence that counts here.

    >>> This is an example that does not count here.

    .. note:: A directive is not a sentence that counts here.

    Too short. Calls numpy.sum and formatValue for every single element. The sum x = y + z is a formula here.
    this one does not begin with a capital letter.
"""


@pytest.fixture(scope="module")
def corpus():
    return docstrings(**FEW)


def test_prose_is_kept_and_markup_and_code_are_not():
    assert list(sentences(DOCSTRING)) == [
        "Return the mean of the values along an axis.",
        "The mean is the result of sum over the number of elements.",
        "It is always a finite number!",
        "See also that of a median in general.",
        "The axis along which the mean is taken.",
        "If None, all elements are taken at once.",
    ]


def test_docstrings_are_found_in_the_order_of_the_file():
    source = (
        '"""Module."""\n'
        'class A:\n    """Class."""\n    def b(self):\n        """Method."""\n'
        'async def c():\n    """Last."""\n'
    )
    assert list(docstrings_of(source)) == ["Module.", "Class.", "Method.", "Last."]


@pytest.mark.slow
def test_a_sequence_is_a_window_of_running_text(corpus):
    assert corpus.splits.num_rows == {"train": 800, "valid": 100, "test": 100}
    assert len(corpus.vocabulary) == corpus.outputs == 4 + len(ALPHABET) == 79
    for split in corpus.splits.values():
        for row in split:
            assert len(row["target"]) == len(row["text"]) == 64
            assert corpus.vocabulary.decode(row["target"]) == row["text"]
            assert not {UNK, EOS} & set(row["target"])
    assert corpus.examples("train")[0].source == []


@pytest.mark.slow
def test_files_are_held_out_as_a_whole(corpus):
    for name, split in corpus.splits.items():
        assert {split_of(file) for file in split["file"]} == {name}
        assert not any("/tests/" in file for file in split["file"])


@pytest.mark.slow
def test_no_text_is_in_two_splits(corpus):
    texts = {name: " ".join(split["text"]) for name, split in corpus.splits.items()}
    for held in ("valid", "test"):
        long = [s for s in re.findall(r"(?<=\. )[A-Z][^.]{25,}\.(?= )", texts[held]) if len(s) < 64]
        assert len(long) > 20
        assert not [s for s in long if s in texts["train"]]


def test_a_sentence_occurs_once_and_broken_files_are_skipped(tmp_path):
    same = "This sentence is in every one of the files."
    named = []
    for i in range(40):
        path = tmp_path / f"{i}.py"
        path.write_text("def (" if i == 7 else f'"""{same} Only file number {i} has this other sentence."""\n')
        named.append((f"package/{i}.py", path))
    found = windows(named, {"train": 99, "valid": 99, "test": 99}, length=20)
    texts = [row["text"] for rows in found.values() for row in rows]
    assert sum(text == same[:20] for text in texts) == 1
    assert len({row["file"] for rows in found.values() for row in rows}) == 39


def test_baselines_are_ordered_and_stated(corpus):
    baselines = corpus.baselines_for("language_modelling")
    names = ["target_4gram", "target_trigram", "target_bigram", "unigram"]
    assert [baselines[name] for name in names] == sorted(baselines[name] for name in names)
    assert baselines["blind"] == min(baselines["unigram"], baselines["position_only"])
    assert baselines["bar"] == baselines["target_bigram"]
    assert baselines["floor"] == 0
    assert corpus.methods["floor"].startswith("unknown")
    assert 2.9 < baselines["unigram"] < 3.2
    assert 2.2 < baselines["target_bigram"] < 2.7


@pytest.mark.slow
def test_versions_are_recorded_and_part_of_the_digest(corpus, monkeypatch):
    assert corpus.sources == {"networkx": version("networkx"), "numpy": version("numpy")}
    monkeypatch.setattr("normexp.data.packages.version", lambda name: "0.0")
    other = docstrings(**FEW)
    assert other.splits["train"]["text"][:] == corpus.splits["train"]["text"][:]
    assert other.digest != corpus.digest


@pytest.mark.slow
def test_a_local_version_is_that_of_its_release(monkeypatch):
    monkeypatch.setattr("normexp.data.packages.version", lambda name: "2.13.0+cpu")
    assert set(docstrings(**FEW).sources.values()) == {"2.13.0"}


@pytest.mark.slow
@pytest.mark.parametrize(("tokens", "size"), [("byte_pair", 500), ("bytes", 260), ("words", 500)])
def test_other_tokens_are_of_the_same_windows(corpus, tokens, size):
    other = docstrings(**FEW, tokens=tokens, vocabulary=500)
    assert len(other.vocabulary) == other.outputs == size
    for name, split in other.splits.items():
        assert split["text"][:] == corpus.splits[name]["text"][:]
        for row in split:
            assert row["target"] == other.vocabulary.encode(row["text"])
            assert tokens == "words" or other.vocabulary.decode(row["target"]) == row["text"]
    valid = other.splits["valid"]
    known = other.summary["tokens"]
    assert known["kind"] == tokens
    assert known["characters"] == pytest.approx(64 * len(valid) / sum(map(len, valid["target"])))
    assert other.digest != corpus.digest


@pytest.mark.slow
def test_byte_pairs_have_baselines_of_their_own(corpus):
    """Measured on byte pairs, in nats per token: the n-grams of either kind of tokens agree per character."""
    pieces = docstrings(**FEW, tokens="byte_pair", vocabulary=500)
    targets = {name: split["target"][:] for name, split in pieces.splits.items()}
    measured = held_out(targets["train"], targets["valid"], len(pieces.vocabulary), order=4)
    baselines = pieces.baselines_for("language_modelling")
    assert {name: baselines[name] for name in measured} == measured
    assert baselines["blind"] == min(measured["unigram"], measured["position_only"])
    assert baselines["bar"] == measured["target_bigram"]
    assert 1.5 < pieces.summary["tokens"]["characters"] < 4
    assert corpus.summary["tokens"]["characters"] == 1
    per_character = min(measured.values()) / pieces.summary["tokens"]["characters"]
    assert per_character == pytest.approx(corpus.baselines["target_4gram"], rel=0.25)


@pytest.mark.slow
def test_the_byte_pairs_are_those_of_the_training_part():
    """The same training part gives the same tokens, whatever is held out."""
    one, other = (docstrings(**FEW | {"sequences": count}, tokens="byte_pair") for count in (1000, 1001))
    assert one.splits["train"]["text"][:] == other.splits["train"]["text"][:800]
    again = build("byte_pair", 1000, [one.splits["train"]["text"][:]], "")
    assert again.tokens == one.vocabulary.tokens


@pytest.mark.slow
def test_it_is_a_function_of_its_options_and_imports_nothing(corpus):
    code = (
        "import sys; from normexp.data.docstrings import docstrings; "
        f"print(docstrings(**{FEW}).digest, 'networkx' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [corpus.digest, "False"]
    assert docstrings(**FEW, seed=1).digest != corpus.digest


def test_a_language_model_corpus_has_no_source(corpus):
    with pytest.raises(ValueError, match="made for language_modelling; got translation"):
        corpus.examples("train", "translation")


def test_files_are_named_from_their_package():
    assert "numpy/linalg/_linalg.py" in {name for name, _ in files("numpy")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"packages": ["no_such_package"]}, "data.packages must be installed packages; got no_such_package"),
        ({"packages": "os.path"}, "data.packages must be installed packages; got os.path"),
        ({"packages": []}, "data.packages must name at least one package; got none"),
        ({"length": 1}, "data.length must be at least 2; got 1"),
        ({"sequences": 9}, "data.sequences must be at least 10; got 9"),
        ({"tokens": "pieces"}, "data.tokens must be one of byte_pair, bytes, words, characters; got pieces"),
        (
            {"tokens": "byte_pair", "vocabulary": 100},
            "data.vocabulary must be at least 260 with tokens=byte_pair; got 100",
        ),
        ({"packages": "networkx", "sequences": 100_000}, "data.sequences must be low enough for the text of networkx"),
    ],
)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        docstrings(**options)
