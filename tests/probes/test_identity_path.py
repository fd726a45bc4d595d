"""Equation 6 of Wang et al. 2019: exact in Pre-LN, not elsewhere; and one value by hand."""

import pytest
import torch

from normexp.probes.identity_path import IdentityPath
from tests.support.probes import trainer_of
from tests.support.steps import take_step


def measured(*line, read=lambda context: None):
    """The probe's rows, and what `read` makes of the same context."""
    trainer = trainer_of(*line)
    return take_step(
        trainer, next(trainer.data()), lambda context: (IdentityPath().measure(context).frame(1), read(context))
    )[1]


@pytest.mark.slow
@pytest.mark.parametrize("line", [("task=translation",), ("task=classification",), ("task=language_modelling",)])
@pytest.mark.parametrize("variant", ["pre_ln", "no_norm"])
def test_the_identity_is_exact_where_skips_are(variant, line):
    rows, _ = measured(f"variant={variant}", "depth=3", "model.dropout=0.1", *line)
    assert set(rows["layer"]) == {1, 2}  # every layer but the last
    assert len(rows) == 2 * rows["stack"].nunique()
    assert rows["value"].max() < 1e-4  # rounding errors of float32


@pytest.mark.parametrize("variant", ["post_ln", "b2t", "deep_norm", "no_residual"])
def test_it_fails_where_a_norm_or_a_factor_is_in_the_way(variant):
    rows, _ = measured(f"variant={variant}", "depth=3")
    assert rows["value"].min() > 0.05


@pytest.mark.slow
def test_without_skips_it_is_what_the_sum_has_too_much():
    """x ← F(x): the gradient at x_1 is the one through both branches, and the sum adds the top's and the first's."""

    def by_hand(context):
        stream, first, top = (
            context.trace[f"encoder.{name}"] for name in ("01.feed_forward/stream", "02.attention/branch",
                                                          "02.feed_forward/stream")
        )  # fmt: skip
        at_stream, at_top = context.gradients([stream, top])
        (through,) = torch.autograd.grad(first, stream, at_top, retain_graph=True)
        mask = context.mask_of("encoder")
        return float((at_top + through)[mask].norm() / at_stream[mask].norm())

    rows, expected = measured("variant=plain", "depth=2", "task=classification", read=by_hand)
    assert rows["value"].tolist() == pytest.approx([expected], rel=1e-4)


def test_copies_of_the_stream_that_no_site_reads_have_no_value():
    rows, _ = measured("variant=hyper_connections", "depth=2")
    assert len(rows) == 2
    assert rows["value"].isna().all()
