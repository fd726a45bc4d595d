"""The seam carries arrangements that the package does not know, with no change to the model."""

import math

import pytest
import torch

from normexp.model.stack import Stack
from normexp.model.variant import StackShape
from tests.support.configs import small_config, variant_node
from tests.support.models import model_of

ARRANGEMENTS = ["B2T", "Parallel", "DLCL", "SubLN", "Admin"]


@pytest.mark.parametrize("task", ["translation", "classification"])
@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_every_parameter_learns(name, task, seam_path, tokens):
    model = model_of(small_config(variant=variant_node(name), task={"name": task}), vocabulary=20, classes=4)
    inputs = tokens if task == "translation" else {k: tokens[k] for k in ("source", "source_mask")}
    model(**inputs).logsumexp(-1).sum().backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A key's bias adds the same to every logit of a softmax.
    assert [n for n in idle if not n.endswith("key.bias")] == []


def test_dlcl_starts_as_the_average_of_what_is_below(seam_path, tokens):
    model = model_of(small_config(variant=variant_node("DLCL")), vocabulary=20)
    variant = model.encoder.variant
    x = [torch.randn(2, 3, 16) for _ in range(3)]
    assert torch.allclose(variant.mixed(x), (x[0] + x[1] + x[2]) / 3, atol=1e-6)


def test_sub_ln_gain_scales_matrices_by_role_and_no_bias(seam_path):
    plain = model_of(small_config(variant=variant_node("pre_ln")), vocabulary=20).state_dict()
    scaled = model_of(small_config(variant=variant_node("SubLN")), vocabulary=20).state_dict()
    gain = math.sqrt(math.log(9))
    for role, factor in {"query": 1, "value": gain, "out": gain}.items():
        name = f"decoder.layers.02.attention.sublayer.{role}.weight"
        assert torch.allclose(scaled[name], factor * plain[name])
        cross = f"decoder.layers.02.cross_attention.sublayer.{role}.weight"
        assert torch.equal(scaled[cross], plain[cross])


def test_admin_profiles_once_in_order(seam_path, tokens):
    model = model_of(small_config(variant=variant_node("Admin")), vocabulary=20)
    with torch.no_grad():
        for stack in model.stacks:
            stack.variant.calibrate(lambda: model(**tokens))
    omegas = [site.omega[0].item() for site in model.encoder.sites]
    assert omegas[0] == 1
    assert omegas == sorted(omegas)
    assert omegas[-1] > 1.2
    # ω₂² = Var(ω₁ x) + Var(F₁), by hand
    x = model.embedding(tokens["source"])
    trace = {}
    with torch.no_grad():
        model.encoder(x, tokens["source_mask"], trace=trace)
    expected = (x.var() + trace["encoder.01.attention/branch"].var()).sqrt()
    assert omegas[1] == pytest.approx(expected.item(), rel=1e-5)


def test_an_unknown_slot_is_refused(seam_path):
    from arrangements import SubLN

    class Misplaced(SubLN):
        def branch_modules(self, site):
            return {"before_fc3": torch.nn.Identity()}

    with pytest.raises(ValueError, match="no slot 'before_fc3'"):
        Stack(
            StackShape("encoder", 1, 0, width=16, heads=4, feed_forward=32),
            lambda shape: Misplaced(shape, torch.nn.LayerNorm),
            activation="relu",
            dropout=0.0,
            attention_dropout=0.0,
        )
