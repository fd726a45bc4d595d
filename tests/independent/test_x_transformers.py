"""Our arrangements against those of x-transformers, which shares no code with us: same weights, outputs and gradients.

What differs, and is set alike here because it is no part of an arrangement: its norms and attention have no biases
(ours are at 0), its softmax rounds to float32 (here it does not), its gains may be stored less 1, its RMSNorm has no
eps (ours is set to 0), and scale_residual_constant is a plain number, here by the paper's formula. It
draws other initial weights, so nothing is said of gains here. Its pre_and_post_norm has no special first layer, so Keel
is compared without the paper's (first_block=false); tests/variants/test_scaled.py has that layer.
"""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from x_transformers import Decoder, Encoder
from x_transformers.x_transformers import OrthogonalResidualUpdate

from tests.support.configs import node_of, small_config
from tests.support.models import built

DEPTH, WIDTH, HEADS = 3, 16, 4
S = 2 * DEPTH  # sub-layers
POST: dict[str, Any] = {"pre_norm": False}
CASES: dict[str, dict[str, Any]] = {
    "sandwich": {"sandwich_norm": True},
    "scaled_skip": {**POST, "scale_residual_constant": 2.0},
    "deep_norm": {**POST, "scale_residual_constant": (2 * DEPTH) ** 0.25},
    "admin_constant": {**POST, "scale_residual_constant": math.sqrt((S + 1) / math.log(S + 1) - 1)},
    "admin": {**POST, "scale_residual": True},
    "keel": {"pre_and_post_norm": True, "scale_residual_constant": S},
    "layer_scale": {"use_layerscale": True},
    "macaron": {"macaron": True},
    "t5": {"use_rmsnorm": True, "ff_no_bias": True},
    "value_residual": {"add_value_residual": True, "learned_value_residual_mix": False},
}
OPTIONS: dict[str, dict[str, Any]] = {"keel": {"first_block": False}}  # of ours
SLIPS = [
    ("deep_norm", "scale_residual_constant", (8 * DEPTH) ** 0.25),
    ("admin_constant", "scale_residual_constant", 1.0),
    ("keel", "scale_residual_constant", DEPTH),  # layers counted where sub-layers are meant
    ("scaled_skip", "scale_residual_constant", 0.5),
]
# Where our variant keeps its norms: before the branch, behind it, behind the sum.
NORMS = {"norm_in": 0, "norm_out": 1, "norm": 0}


def ours_of(variant: str, task: str) -> nn.Module:
    """Float64, gains and scalars off their start, biases at 0 where x-transformers has none."""
    node = node_of("variant", variant, **OPTIONS.get(variant, {}))
    config = small_config(variant=node, task={"name": task}, model={"encoder_depth": DEPTH, "decoder_depth": DEPTH})
    model = built(config).double()
    stack = model.stacks[0]
    generator = torch.Generator().manual_seed(0)
    for name, parameter in stack.named_parameters():
        if name.endswith("bias") and "fc" not in name:
            continue
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    for module in stack.modules():
        if hasattr(module, "eps") and variant == "t5":
            module.eps = 0.0
    return stack


def theirs_of(variant: str, task: str) -> nn.Module:
    size = {"dim": WIDTH, "depth": DEPTH, "heads": HEADS, "attn_dim_head": WIDTH // HEADS, "ff_mult": 2}
    stack = (Encoder if task == "classification" else Decoder)(
        **size, ff_custom_activation=nn.ReLU(), norm_add_unit_offset=False, **CASES[variant]
    ).double()
    for module in stack.modules():
        if hasattr(module, "attn_fn"):
            module.attn_fn = nn.Softmax(dim=-1)
    return stack


def pairs(variant: str, ours: nn.Module, theirs: nn.Module) -> list[tuple[str, Tensor, Tensor]]:
    """(name, our parameter, theirs) for everything that computes."""
    found = []
    for site, (norms, block, residual) in zip(ours.sites, theirs.layers, strict=True):
        core = block
        while hasattr(core, "fn"):  # LayerScale, and macaron's one half
            core = core.fn
        linears = [m for m in core.modules() if isinstance(m, nn.Linear)]
        if site.kind == "attention":
            named = {"query": core.to_q, "key": core.to_k, "value": core.to_v, "out": core.to_out}
        else:
            named = dict(zip(("fc1", "fc2"), linears, strict=True))
        for role, linear in named.items():
            for kind, value in linear.named_parameters():
                found.append((f"{site.name} {role}.{kind}", getattr(getattr(site.sublayer, role), kind), value))
        for name, norm in site.named_children():
            if name not in NORMS:
                continue
            place = NORMS[name]
            if CASES[variant].get("pre_norm") is False or (variant == "keel" and name == "norm_out"):
                place = 2
            (gain,) = norms[place].parameters()
            found.append((f"{site.name} {name}", norm.weight, gain))
        if variant == "admin":
            found.append((f"{site.name} omega", site.omega, residual.residual_scale))
        if variant == "layer_scale":
            (scale,) = [p for name, p in site.named_parameters(recurse=False)]
            found.append((f"{site.name} scale", scale, block.gamma))
    if final := list(theirs.final_norm.parameters()):
        found.append(("final norm", ours.variant.final_norm.weight, final[0]))
    return found


@pytest.mark.parametrize("task", ["classification", "language_modelling"])
@pytest.mark.parametrize("variant", CASES)
def test_outputs_and_gradients_are_the_same(variant, task):
    ours, theirs = ours_of(variant, task), theirs_of(variant, task)
    mapped = pairs(variant, ours, theirs)
    own = {id(p) for _, p, _ in mapped}
    left = [n for n, p in ours.named_parameters() if id(p) not in own and not n.endswith("bias")]
    assert not left, "every weight of ours is compared"
    assert len(mapped) == len({id(p) for p in theirs.parameters()}), "and every one of theirs"
    with torch.no_grad():
        for _, parameter, other in mapped:
            other.copy_(parameter)
    generator = torch.Generator().manual_seed(1)
    x, direction = (torch.randn(3, 7, WIDTH, generator=generator, dtype=torch.float64) for _ in range(2))
    mask = torch.ones(3, 7, dtype=torch.bool)
    if task == "classification":  # padding; under a causal mask it sits where nobody looks
        mask[1, 4:] = mask[2, 2:] = False
    one, other = (x.clone().requires_grad_() for _ in range(2))
    out, expected = ours(one, mask), theirs(other, mask=mask)
    assert torch.allclose(out[mask], expected[mask], rtol=1e-9, atol=1e-9)
    for result in (out, expected):
        (result * direction)[mask].sum().backward()
    assert torch.allclose(one.grad[mask], other.grad[mask], rtol=1e-8, atol=1e-9)
    for name, parameter, twin in mapped:
        assert torch.allclose(parameter.grad, twin.grad, rtol=1e-8, atol=1e-9), name


@pytest.mark.parametrize(("variant", "key", "value"), SLIPS)
def test_a_slip_is_seen(variant, key, value, monkeypatch):
    monkeypatch.setitem(CASES, variant, {**CASES[variant], key: value})
    ours, theirs = ours_of(variant, "classification"), theirs_of(variant, "classification")
    with torch.no_grad():
        for _, parameter, other in pairs(variant, ours, theirs):
            other.copy_(parameter)
    x = torch.randn(2, 5, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert not torch.allclose(ours(x), theirs(x), atol=1e-3)


def test_an_orthogonal_update_is_theirs_token_by_token():
    """Theirs takes all tokens of a sequence as one vector, so each of ours is a sequence of one token there."""
    stack = ours_of("orthogonal_update", "classification")
    x, f = (torch.randn(2, 5, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    site = stack.sites[0]
    site.branch = lambda _: f
    theirs = OrthogonalResidualUpdate(WIDTH)(f.reshape(10, 1, WIDTH), x.reshape(10, 1, WIDTH))
    assert torch.allclose(stack.variant.join(x, site), theirs.reshape(2, 5, WIDTH), rtol=1e-9, atol=1e-9)
