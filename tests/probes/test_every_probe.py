"""What holds for every probe that the command line offers."""

from pathlib import Path

import pytest
import torch

from normexp.config.compose import Composer
from tests.support.probes import nothing_changes, padded, rows_of, trainer_of
from tests.support.steps import take_step

PROBES = sorted(path.stem for path in (Path(__file__).parents[2] / "configs" / "probe").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch_norm", "power_norm"])
@pytest.mark.parametrize("name", PROBES)
def test_measuring_changes_nothing(name, norm):
    """With norms that count what they see, with dropout and padding, and after a step, so that there is a state."""
    trainer = trainer_of("variant=post_ln", f"norm={norm}", "model.dropout=0.1")
    batch = padded(trainer)
    take_step(trainer, batch)
    trainer.backward(batch)
    with nothing_changes(trainer):
        rows_of(Composer("train").choice("probe", name).build(), trainer.probe_context(batch))
    assert all(p.requires_grad and p.dtype == torch.float32 for p in trainer.model.parameters())
    assert trainer.model.training
    for stack in trainer.model.stacks:
        assert "layer" not in vars(stack)
        assert stack.context.mask is None
