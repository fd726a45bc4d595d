"""normexp sample: what finished runs answer to texts."""

import re
from pathlib import Path

import pytest
import torch

import normexp
from normexp.data.vocabulary import BOS, EOS
from normexp.model.transformer import Translator
from normexp.sweep.plan import plan
from normexp.sweep.worker import execute
from tests.support.cli import in_process
from tests.support.runs import TINY

WITHOUT_PAIRS = [key for key in TINY if not key.startswith(("data.", "record."))]


def trained(results: Path, *overrides: str) -> Path:
    """The folder of a sweep whose runs are finished."""
    sweep = plan("sweep", [*overrides, f"results={results}"])
    sweep.create()
    for run in sweep.folders:
        execute(run.path)
    return sweep.path


@pytest.fixture(scope="module")
def translators(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("sample"), *TINY, "variant=post_ln,pre_ln")


@pytest.mark.slow
def test_runs_translate_the_same_texts_of_the_test_part(translators):
    blocks = in_process("sample", str(translators), "--count", "3").stdout.rstrip("\n").split("\n\n")
    assert len(blocks) == 3
    names = [[line.split()[0] for line in block.splitlines()] for block in blocks]
    assert names == 3 * [["given", "expected", "post_ln", "pre_ln"]]


@pytest.mark.slow
def test_a_run_translates_what_it_is_given(translators):
    run = next(path for path in translators.iterdir() if path.name.startswith("pre_ln"))
    loaded = normexp.load(run)
    decode, encode = loaded.corpus.vocabulary.decode, loaded.corpus.vocabulary.encode
    written = loaded.model.translate(torch.tensor([[*encode("march 4"), EOS]]), None, begin=BOS, end=EOS)[0]
    assert in_process("sample", str(run), "march 4").stdout == f"given    march 4\nwritten  {decode(written)}\n"


@pytest.mark.slow
def test_nothing_is_no_reference(translators, monkeypatch):
    monkeypatch.setattr(Translator, "translate", lambda *_, **__: [[EOS]])
    run = next(path for path in translators.iterdir() if path.name.startswith("pre_ln"))
    assert in_process("sample", str(run), "march 4").stdout == "given    march 4\nwritten  (nothing)\n"


@pytest.mark.slow
def test_tokens_that_the_model_does_not_know_are_counted(translators):
    assert "(1 of 2 tokens given are unknown)" in in_process("sample", str(translators), "zebra 4").stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{}", " "], "TEXT must have at least one character that is not a space; got none"),
        (["{}", "1" * 300], "TEXT must have at most 255 tokens; got 300"),
        (["{}/nowhere"], "RUN must be an existing folder with runs; got .*/nowhere"),
        (["{}/.."], "the runs in .* must have the same task and data; name one of them as RUN"),
    ],
    ids=["empty", "long", "nowhere", "different"],
)
def test_what_cannot_be_answered_is_one_sentence(words, sentence, translators):
    if words == ["{}/.."]:
        trained(translators.parent, *TINY, "data.pairs=200", "steps=2", "variant=post_ln", "seed=0,1")
    done = in_process("sample", *(word.format(translators) for word in words))
    assert (done.exit_code, done.stdout) == (2, "")
    assert re.fullmatch(f"error: {sentence}\n", done.stderr)


@pytest.mark.slow
def test_a_language_model_continues_a_text(tmp_path):
    language = ["task=language_modelling", "data=cldr_dates", "data.pairs=300"]
    run = trained(tmp_path, *WITHOUT_PAIRS, *language, "variant=post_ln", "seed=0,1")
    asked = in_process("sample", str(run), "lundi 4", "--tokens", "3").stdout.splitlines()
    assert [line.split()[0] for line in asked] == ["given", "seed", "seed"]
    loaded = normexp.load(next(run.glob("seed0*")))
    words = loaded.corpus.vocabulary.encode("lundi 4")
    text = [BOS, *words]
    for _ in range(3):
        text.append(int(loaded.model(None, None, torch.tensor([text]))[0, -1].argmax()))
        if text[-1] == EOS:
            break
    assert asked[1] == f"seed 0  {loaded.corpus.vocabulary.decode(text[1 + len(words) :]) or '(nothing)'}"
    assert "expected" in in_process("sample", str(run), "--count", "1").stdout


@pytest.mark.slow
def test_a_classifier_names_classes_with_probabilities(tmp_path):
    classes = ["task=classification", "data=cldr_languages", "data.phrases=200"]
    (run,) = trained(tmp_path, *WITHOUT_PAIRS, *classes, "variant=post_ln", "seed=0,1").glob("seed0*")
    (given, written) = in_process("sample", str(run), "lundi").stdout.splitlines()
    loaded = normexp.load(run)
    ids = [*loaded.corpus.vocabulary.encode("lundi"), EOS]
    shares = loaded.model(torch.tensor([ids]))[0].softmax(-1).detach()
    best = int(shares.argmax())
    assert given.split() == ["given", "lundi"]
    assert written.split()[:3] == ["written", loaded.corpus.classes[best], f"{float(shares[best]):.0%},"]
    assert written.count("%") == 3


@pytest.mark.slow
def test_a_translation_is_never_longer_than_the_model_takes(translators):
    """A model that never writes <eos> ended evaluation with an error where sources are long."""
    model = normexp.build([*TINY, "model.max_length=12"]).eval()
    (written,) = model.translate(torch.full((1, 11), 5), None, begin=BOS, end=-1)
    assert len(written) == 12
