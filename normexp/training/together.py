"""Several runs in one process, step by step: those that are at the same step take it as one batched model."""

import logging
from collections.abc import Iterable, Sequence
from contextvars import copy_context
from weakref import WeakKeyDictionary

from torch import Tensor

from normexp.data.batches import Batch
from normexp.errors import named
from normexp.training.loop import Backward, Steps
from normexp.training.stacked import TOLERANCE, Stacked, difference
from normexp.training.trainer import Trainer

log = logging.getLogger("normexp")


class _Run:
    """A run in training, what it asks for, and the context that it works in."""

    def __init__(self, steps: Steps) -> None:
        self.steps, self.context = steps, copy_context()
        self.asks: Backward | None = None
        self.error: Exception | None = None

    def go_on(self, loss: Tensor | None = None) -> None:
        """Take the step and go on to the next backward, or to the end; an error ends this run alone."""
        try:
            self.asks = self.context.run(self.steps.send, loss)
        except StopIteration:
            self.asks = None
        except Exception as error:
            self.asks, self.error = None, error

    def say(self, text: str) -> None:
        """Write a line into the run's log."""
        self.context.run(log.info, "%s", text)


def together(steps: Iterable[Steps]) -> None:
    """Bring runs that differ only in seed, learning rate or warm-up to their end; raises the first error of any.

    A run that is behind the others, as after a kill, catches up first.
    """
    runs = [_Run(each) for each in steps]
    for run in runs:
        run.go_on()
    batched = _Batched()
    while at := {run: run.asks for run in runs if run.asks}:
        first = min(asked.trainer.done for asked in at.values())
        level = [run for run, asked in at.items() if asked.trainer.done == first]
        losses = batched.backward(level, [at[run] for run in level])
        del at  # the trainers of runs that end now
        for run, loss in zip(level, losses, strict=True):
            run.go_on(loss)
    for run in runs:
        if run.error:
            raise run.error


class _Batched:
    """The batched model of whichever runs are level, as long as they are."""

    def __init__(self) -> None:
        self._stacked: Stacked | None = None
        # Whether batched steps equal separate ones. Weak, so that what a run holds is free once it has ended.
        self._checked: WeakKeyDictionary[Trainer, bool] = WeakKeyDictionary()

    def backward(self, runs: Sequence[_Run], asked: Sequence[Backward]) -> Sequence[Tensor | None]:
        """The loss of every run, its gradients computed; None where the run is to compute them itself."""
        trainers, batches = [each.trainer for each in asked], [each.batch for each in asked]
        if self._stacked and self._stacked.trainers != tuple(trainers):
            self._stacked = None  # so that trainers of ended runs are free before the next one is built
        if len(asked) > 1 and not all(trainer in self._checked for trainer in trainers):
            self._note(runs, trainers, _trouble(trainers, batches))
        if len(asked) < 2 or not all(self._checked[trainer] for trainer in trainers):
            return [None] * len(asked)
        try:
            if self._stacked is None:
                self._stacked = Stacked(trainers)
            return self._stacked.backward(batches)
        except Exception as error:  # a larger batch than the first may need more memory than there is
            self._note(runs, trainers, named(error))
            return [None] * len(asked)

    def _note(self, runs: Sequence[_Run], trainers: Sequence[Trainer], trouble: str) -> None:
        """Remember, and say in every run's log, whether they train as one model from here on."""
        text = f"trains alone: {trouble}" if trouble else f"trains as one of {len(runs)} runs in a batched model"
        for run, trainer in zip(runs, trainers, strict=True):
            self._checked[trainer] = not trouble
            run.say(text)


def _trouble(trainers: Sequence[Trainer], batches: Sequence[Batch]) -> str:
    """Why a batched step would not be what separate steps are, tried with these batches; empty where it is."""
    try:
        off = difference(trainers, batches)
    except Exception as error:  # of torch.func, about code that cannot be batched; or memory is short
        return named(error)
    return "" if off <= TOLERANCE else f"the gradients of a batched step are off by {off:.1g}"
