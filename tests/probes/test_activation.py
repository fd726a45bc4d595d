"""The largest entries of streams that hooks caught."""

import numpy as np
import pytest

from normexp.probes.activation import Activation
from tests.support.probes import measured, padded, real_rows, streams_by_hand, trainer_of


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln"])
def test_entries_are_those_of_the_streams_at_real_tokens(variant):
    trainer = trainer_of(f"variant={variant}")
    batch = padded(trainer)
    rows = measured(Activation(), trainer.probe_context(batch))
    streams = streams_by_hand(trainer.model, batch, variant)
    assert len(rows) == 2 * (2 * 2 + 2 * 3)
    for (stack, layer, site), stream in streams.items():
        if layer:
            parts = [stream[n, part].numpy().ravel() for n, part in enumerate(real_rows(batch, stack))]
            entries = np.sort(np.abs(np.concatenate(parts)))
            assert rows[stack, layer, site, "activation_max"] == pytest.approx(entries[-1], rel=1e-5)
            median = entries[(len(entries) - 1) // 2]
            assert rows[stack, layer, site, "activation_ratio"] == pytest.approx(entries[-1] / median, rel=1e-4)
