"""Training steps for tests."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from normexp.data.batches import Batch
from normexp.probes.context import ProbeContext
from normexp.training.trainer import Trainer


def take_step(
    trainer: Trainer, batch: Batch, measure: Callable[[ProbeContext], Any] | None = None
) -> tuple[Tensor, Any]:
    """One training step: its loss, and what `measure` returns between backward and update."""
    loss = trainer.backward(batch)
    measured = measure(trainer.probe_context(batch)) if measure else None
    trainer.update()
    return loss, measured
