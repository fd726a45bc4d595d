"""Every embedded corpus trains end to end on a small slice."""

import re
import shlex
from itertools import islice
from pathlib import Path

import pytest

from normexp.data.catalogue_languages import catalogue_languages
from normexp.data.catalogues import catalogues
from normexp.data.classification import cldr_languages
from normexp.data.digits import digits
from normexp.data.docstrings import docstrings
from normexp.data.grammar import synchronous_grammar
from normexp.data.swaps import ball_and_swaps
from normexp.data.tables import tables
from normexp.data.translation import cldr_phrases
from normexp.records.outcome import judge
from normexp.training.trainer import Trainer
from tests.support.cli import in_process
from tests.support.configs import config_of
from tests.support.steps import take_step

STEPS = 30
TINY = (
    *("depth=1", f"steps={STEPS}", "lr=1e-2", "variant=pre_ln", "training.device=cpu"),
    *("model.width=16", "model.heads=2", "model.feed_forward=32"),
)
SLICES = {
    "cldr_dates": lambda: cldr_phrases(pairs=100),
    "cldr_mixed": lambda: cldr_phrases(kinds=["date", "time", "unit", "duration", "list"], pairs=100),
    "cldr_languages": lambda: cldr_languages(languages=["en", "fr", "de"], phrases=30),
    "grammar": lambda: synchronous_grammar(nouns=20, verbs=10, adjectives=5, prepositions=3, pairs=100),
    "docstrings": lambda: docstrings(packages="networkx", sequences=100, length=32),
    "byte_pairs": lambda: docstrings(packages="networkx", sequences=100, length=96, tokens="byte_pair", vocabulary=400),
    "catalogues": lambda: catalogues("fr", "de", packages="allauth"),
    "catalogue_languages": lambda: catalogue_languages(["en", "fr", "de"], packages="allauth", phrases=40),
    "digits": digits,
    "patches": lambda: digits(patches=True),
    "tables": lambda: tables("wine"),
    "swaps": lambda: ball_and_swaps(places=3, swaps=3, examples=1000),
}
README = Path(__file__).parents[2] / "configs" / "README.md"
CORPORA = README.read_text().partition("## Your own data")[0]  # the sections below have tests of their own
EXAMPLES = re.findall(r"^normexp (train (?!.*--config-dir).*)$", CORPORA, flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "data"),
    [
        ("translation", "cldr_dates"),
        ("translation", "cldr_mixed"),
        ("translation", "grammar"),
        ("translation", "catalogues"),
        ("classification", "cldr_languages"),
        ("classification", "catalogue_languages"),
        ("classification", "digits"),
        ("classification", "patches"),
        ("classification", "tables"),
        ("classification", "swaps"),
        ("language_modelling", "cldr_dates"),
        ("language_modelling", "grammar"),
        ("language_modelling", "docstrings"),
        ("language_modelling", "byte_pairs"),
    ],
)
def test_a_small_slice_trains_and_is_judged(task, data):
    corpus = SLICES[data]()
    tokens = 2000 if data == "digits" else 400  # an image has many tokens and one answer
    config = config_of(*TINY, f"task={task}", f"training.batch_tokens={tokens}")
    trainer = Trainer(config, corpus)
    losses = [take_step(trainer, batch)[0].item() for batch in islice(trainer.data(), STEPS)]
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])
    outcome = judge(task, losses, corpus.baselines_for(task), corpus.outputs)
    assert outcome in ("partial", "stuck", "trained")


@pytest.mark.slow
@pytest.mark.usefixtures("outside", "svg_alone", "no_workers")
@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_of_the_guide_run_as_written(command):
    few = ["steps=4", "depth=1", "model.width=16", "model.feed_forward=16"]
    done = in_process(*shlex.split(command), *few)
    assert done.exit_code == 0, done.stderr


def test_every_embedded_corpus_has_a_row_and_an_example():
    names = set(SLICES) - {"patches", "byte_pairs"}
    assert (
        set(re.findall(r"^\| `(\w+)`.*(?:translation|language modelling|classification)", README.read_text(), re.M))
        >= names
    )
    default = {"task=translation": "cldr_dates", "task=classification": "cldr_languages"}
    default |= {"task=language_modelling": "docstrings"}
    shown = {word.removeprefix("data=") for command in EXAMPLES for word in command.split() if word.startswith("data=")}
    assert shown | set(default.values()) >= names
