"""Every embedded corpus trains end to end on a small slice."""

from itertools import islice

import pytest

from normexp.data.classification import cldr_languages
from normexp.data.docstrings import docstrings
from normexp.data.grammar import synchronous_grammar
from normexp.data.translation import cldr_phrases
from normexp.records.outcome import judge
from normexp.training.trainer import Trainer
from tests.support.configs import config_of
from tests.support.steps import take_step

STEPS = 30
TINY = (
    *("depth=1", f"steps={STEPS}", "lr=1e-2", "variant=pre_ln", "training.device=cpu", "training.batch_tokens=400"),
    *("model.width=16", "model.heads=2", "model.feed_forward=32"),
)
SLICES = {
    "cldr_dates": lambda: cldr_phrases(pairs=100),
    "cldr_mixed": lambda: cldr_phrases(kinds=["date", "time", "unit", "duration", "list"], pairs=100),
    "cldr_languages": lambda: cldr_languages(languages=["en", "fr", "de"], phrases=30),
    "grammar": lambda: synchronous_grammar(nouns=20, verbs=10, adjectives=5, prepositions=3, pairs=100),
    "docstrings": lambda: docstrings(packages="networkx", sequences=100, length=32),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "data"),
    [
        ("translation", "cldr_dates"),
        ("translation", "cldr_mixed"),
        ("translation", "grammar"),
        ("classification", "cldr_languages"),
        ("language_modelling", "cldr_dates"),
        ("language_modelling", "grammar"),
        ("language_modelling", "docstrings"),
    ],
)
def test_a_small_slice_trains_and_is_judged(task, data):
    corpus = SLICES[data]()
    config = config_of(*TINY, f"task={task}")
    trainer = Trainer(config, corpus)
    losses = [take_step(trainer, batch)[0].item() for batch in islice(trainer.data(), STEPS)]
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])
    outcome = judge(task, losses, corpus.baselines_for(task), corpus.outputs)
    assert outcome in ("partial", "stuck", "trained")
