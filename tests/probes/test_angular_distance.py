"""Angles between streams that hooks caught, by arc cosines in numpy."""

import numpy as np
import pytest
import torch

from normexp.config.compose import Composer
from normexp.probes.angular_distance import AngularDistance, angle
from tests.support.probes import padded, real_rows, rows_of, streams_by_hand, trainer_of

TASKS = Composer("train").options("task")


def between(a, b, rows):
    """Mean angle over π of the real tokens of two streams."""
    a, b = (np.concatenate([x[row].numpy() for x, row in zip(each, rows, strict=True)]) for each in (a, b))
    cosines = (a * b).sum(axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.arccos(cosines).mean() / np.pi


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "no_residual"])
def test_angles_are_those_of_the_streams(variant, task):
    trainer = trainer_of(f"variant={variant}", f"task={task}")
    trainer.model.double()
    batch = padded(trainer)
    rows = rows_of(AngularDistance(), trainer.probe_context(batch))
    streams = streams_by_hand(trainer.model, batch, variant)
    stacks = {stack for stack, *_ in streams}
    assert len(rows) == len(stacks) * (2 + 3)  # neighbours, and pairs of 0, 1 and 2
    for stack in stacks:
        ends = [streams[stack, 0, ""], *(streams[stack, layer, "feed_forward"] for layer in (1, 2))]
        real = real_rows(batch, stack)
        for below, above in ((0, 1), (1, 2), (0, 2)):
            expected = between(ends[below], ends[above], real)
            found = rows[stack, above, "", f"{stack}.{below:02d}", "angular_map"]
            assert found == pytest.approx(expected, rel=1e-7)
            assert found != pytest.approx(between(ends[below], ends[above], [slice(None)] * len(real)), rel=1e-6)
            if above == below + 1:
                assert rows[stack, above, "", "", "angular_distance"] == found
    assert len(rows_of(AngularDistance(map=False), trainer.probe_context(batch))) == 2 * len(stacks)


def test_known_angles():
    one, other = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    found = [
        angle(a, b).item() / np.pi for a, b in ((one, one), (one, other), (one, -one), (one, (one + other) / 2**0.5))
    ]
    assert found == pytest.approx([0, 0.5, 1, 0.25])
    near = torch.tensor([1.0, 1e-5])  # whose cosine is 1 in float32
    assert angle(one, near).item() == pytest.approx(1e-5, rel=1e-3)
