"""What tests of probes share: tiny trainers of every task, readings as rows, and a watch over what must not change."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch
from tiny import TINY

from normexp.launch import Composer
from normexp.probes.moment import Moment
from normexp.probes.probe import Probe
from normexp.run import corpus_of
from normexp.training.trainer import Trainer


def trainer_of(*overrides: str) -> Trainer:
    """Two layers of width 16, calibrated."""
    size = [word for word in TINY if not word.startswith(("data.", "record."))]
    examples = "data.phrases=30" if "task=classification" in overrides else "data.pairs=300"
    line = [*size, examples, "depth=2", *overrides]
    config = Composer("train", []).resolve(line)
    return Trainer(config, corpus_of(config)).calibrate()


def rows_of(probe: Probe, moment: Moment) -> Any:
    """What a probe reads, by stack, layer, site, parameter and statistic."""
    index = ["stack", "layer", "site", "parameter", "statistic"]
    rows: pd.Series = probe.measure(moment).frame(moment.step).set_index(index)["value"]
    assert rows.index.is_unique
    return rows


@contextmanager
def unchanged(trainer: Trainer) -> Iterator[None]:
    """Weights, buffers, gradients and the optimizer's state are the same to the bit afterwards."""

    def state() -> list[torch.Tensor]:
        grads = [p.grad for p in trainer.model.parameters() if p.grad is not None]
        slots = [v for slot in trainer.optimizer.state.values() for v in slot.values() if isinstance(v, torch.Tensor)]
        return [*trainer.model.state_dict().values(), *grads, *slots]

    before = [value.clone() for value in state()]
    yield
    assert all(torch.equal(a, b) for a, b in zip(before, state(), strict=True))
