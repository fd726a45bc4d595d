"""Runs in one process leave memory as soon as they have ended."""

import gc
from weakref import WeakSet

import pytest

from normexp.training import stacked, together
from normexp.training.loop import Backward
from tests.support import golden
from tests.support.configs import with_values

pytestmark = pytest.mark.slow
STEPS = (2, 2, 3, 3, 5)  # of each run: five train as one, then three, then one alone


def test_ended_runs_and_their_batched_model_are_not_kept(monkeypatch):
    trainers, models = WeakSet(), WeakSet()
    alive: dict[int, int] = {}
    before_each_model = []

    class Watched(stacked.Stacked):
        def __init__(self, trainers):
            before_each_model.append(len(models))
            super().__init__(trainers)
            models.add(self)

    def run(seed: int, steps: int):
        trainer = golden.trainer_of(with_values(golden.tiny_run("pre_ln", "translation"), seed=seed))
        trainers.add(trainer)
        for step in range(1, steps + 1):
            loss = yield Backward(trainer, next(trainer.data()))
            if loss is None:
                trainer.backward(next(trainer.data()))
            trainer.update()
            if steps == max(STEPS):
                gc.collect()
                alive[step] = len(trainers)

    monkeypatch.setattr(together, "Stacked", Watched)
    together.together(run(seed, steps) for seed, steps in enumerate(STEPS))
    assert before_each_model == [0, 0]
    assert alive == {1: 5, 2: 5, 3: 3, 4: 1, 5: 1}
