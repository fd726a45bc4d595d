"""Residual schemes and a gate against hyper-connections, nGPT-pytorch and x-transformers, which share no code with us.

Each is compared at one sub-layer: same weights, output and gradients. What a package has otherwise, and is set alike
here: mHC's token-dependent weights come from each stream there and from all streams here, so they are at 0; it computes
in float32; its Sinkhorn starts with the other dimension, which no longer matters after 60 rounds; nGPT-pytorch puts the
gain of queries and keys on the queries alone, so ours is squared.
"""

import pytest
import torch
from hyper_connections import HyperConnections, mHC
from nGPT_pytorch.nGPT import Attention as UnitAttention
from nGPT_pytorch.nGPT import Residual
from torch import nn
from x_transformers.x_transformers import Attention, MVSplitResidualUpdate

from normexp.model.variant import Context
from tests.support import golden
from tests.support.models import model_of, node

WIDTH, HEADS, STREAMS = 16, 4, 4
ROLES = ("query", "key", "value", "out")
RMS = node("rms_norm", "norm", eps=1e-30)


def stack_of(variant, task="classification", **more):
    """In float64, every parameter off its start."""
    stack = model_of(variant, task=task, **more).double().stacks[0]
    generator = torch.Generator().manual_seed(0)
    for parameter in stack.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return stack


def random(*size, seed=1):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def agree(ours, theirs, x, direction, tolerance=1e-9):
    """Outputs, and gradients with respect to what is read."""
    results = []
    for function in (ours, theirs):
        leaf = x.clone().requires_grad_()
        out = function(leaf)
        (out * direction).sum().backward()
        results.append((out.detach(), leaf.grad))
    (out, grad), (expected, its) = results
    return all(torch.allclose(a, b, rtol=tolerance, atol=tolerance) for a, b in ((out, expected), (grad, its)))


# -- several streams --------------------------------------------------------------------------------------------------


def folded(h):
    """batch, token, stream, width → batch · stream, token, width, as theirs"""
    return h.transpose(1, 2).flatten(0, 1)


def joined_by(module):
    """Theirs as a function of our streams."""
    return lambda h: module(folded(h)).unflatten(0, (-1, STREAMS)).transpose(1, 2)


class Branch(nn.Module):
    """What both read: the norm of the site, then something that is not linear."""

    def __init__(self, site):
        super().__init__()
        self.norm = site.norm

    def forward(self, x):
        return 2 * torch.tanh(self.norm(x))


def site_of(stack, number):
    site = stack.sites[number]
    site.branch = lambda x: 2 * torch.tanh(x)
    return site


@pytest.mark.parametrize("number", [0, 3])
def test_hyper_connections(number):
    stack = stack_of("hyper_connections", norm=RMS)
    site = site_of(stack, number)
    theirs = HyperConnections(STREAMS, dim=WIDTH, branch=Branch(site), layer_index=number).double()
    with torch.no_grad():
        theirs.norm.gamma.copy_(site.stream_norm.weight - 1)
        theirs.static_alpha.copy_(torch.cat([site.read[:, None], site.mix], dim=1))
        theirs.dynamic_alpha_fn.copy_(torch.cat([site.read_of[:, None], site.mix_of], dim=1))
        theirs.dynamic_alpha_scale.copy_(site.read_scale)
        theirs.static_beta.copy_(site.write)
        theirs.dynamic_beta_fn.copy_(site.write_of)
        theirs.dynamic_beta_scale.copy_(site.write_scale)
    h, direction = random(2, 5, STREAMS, WIDTH), random(2, 5, STREAMS, WIDTH, seed=2)
    assert agree(lambda h: stack.variant.join(h, site), joined_by(theirs), h, direction)
    with torch.no_grad():
        theirs.static_alpha[:, 1:] = site.mix.T
    assert not agree(lambda h: stack.variant.join(h, site), joined_by(theirs), h, direction, 1e-3)


@pytest.mark.parametrize("variant", ["mhc", "identity_hyper_connections"])
def test_constrained_hyper_connections(variant):
    options = {"rounds": 60} if variant == "mhc" else {}
    stack = stack_of(variant, norm=RMS, options=options)
    site = site_of(stack, 1)
    for name in ("read_of", "write_of", "mix_of"):
        if hasattr(site, name):
            getattr(site, name).data.zero_()
    if variant == "mhc":
        site.mix.data = random(STREAMS, STREAMS, seed=4)  # near the identity, Sinkhorn converges slowly
    identity = None if variant == "mhc" else lambda logits: torch.eye(STREAMS).expand_as(logits)
    theirs = mHC(
        STREAMS, dim=WIDTH, branch=Branch(site), layer_index=1, sinkhorn_iters=60, residual_mix_constraint_fn=identity
    )
    with torch.no_grad():
        mix = site.mix.T if variant == "mhc" else torch.zeros(STREAMS, STREAMS)
        theirs.static_alpha.copy_(torch.cat([site.read[:, None], mix], dim=1))
        theirs.static_beta.copy_(site.write)
    h, direction = random(2, 5, STREAMS, WIDTH), random(2, 5, STREAMS, WIDTH, seed=2)
    assert agree(lambda h: stack.variant.join(h, site), joined_by(theirs), h, direction, 1e-4)
    with torch.no_grad():
        theirs.static_beta.copy_(site.read)
    assert not agree(lambda h: stack.variant.join(h, site), joined_by(theirs), h, direction, 1e-2)


# -- one stream -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["classification", "language_modelling"])
def test_attention_of_ngpt_and_how_it_is_joined(task):
    stack = stack_of("ngpt", task)
    site, sublayer = stack.sites[0], stack.sites[0].sublayer
    site.step.data.abs_()  # theirs has no absolute value
    causal = task == "language_modelling"
    with golden.precision(torch.float64):
        attention = UnitAttention(WIDTH, dim_head=WIDTH // HEADS, heads=HEADS, causal=causal)
        theirs = Residual(attention, WIDTH, 0.05)
    with torch.no_grad():
        for role, linear in zip(ROLES, (attention.to_q, attention.to_k, attention.to_v, attention.to_out), strict=True):
            matrix = getattr(sublayer, role).weight
            linear.linear.parametrizations.weight.original.copy_(3 * matrix)  # theirs is normed in its forward
            matrix.copy_(stack.variant.constrained(matrix, site, role))
        gain = sublayer.inside["query"].gain.flatten() * WIDTH**0.5
        attention.qk_scale.scale.copy_(gain**2 / attention.qk_scale.forward_scale)
        theirs.branch_scale.scale.copy_(site.step)
    x = nn.functional.normalize(random(2, 5, WIDTH), dim=-1)
    direction = random(2, 5, WIDTH, seed=2)

    def ours(x):
        return stack.variant.join(x, site)

    assert agree(ours, theirs, x, direction)
    with torch.no_grad():
        sublayer.out.weight.copy_(nn.functional.normalize(sublayer.out.weight, dim=1))  # rows in place of columns
    assert not agree(ours, theirs, x, direction, 1e-2)


def test_the_sum_of_mv_split():
    stack = stack_of("mv_split", norm=RMS)
    site, f = stack.sites[0], random(3, 5, WIDTH, seed=3)
    site.branch = lambda _: f
    theirs = MVSplitResidualUpdate(WIDTH).double()
    theirs.alpha.data, theirs.beta.data = site.of_mean.data.clone(), site.of_rest.data.clone()
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[1, 3:] = mask[2, 1:] = False
    stack.context.mask = mask
    x, direction = random(3, 5, WIDTH), random(3, 5, WIDTH, seed=2) * mask[..., None]

    def ours(x):
        return stack.variant.join(x, site) * mask[..., None]

    def summed(x):
        return site.norm(theirs(f, x, mask=mask)) * mask[..., None]

    assert agree(ours, summed, x, direction)
    theirs.alpha.data.zero_()
    assert not agree(ours, summed, x, direction, 1e-2)


@pytest.mark.parametrize("elementwise", [True, False])
@pytest.mark.parametrize("task", ["classification", "language_modelling"])
def test_a_gate_on_attention(task, elementwise):
    addon = {"gated_attention": {k: v for k, v in node("gated_attention", "addon").items() if k != "name"}}
    addon["gated_attention"]["elementwise"] = elementwise
    sublayer = stack_of("pre_ln", task, addon=addon).sites[0].sublayer
    causal = task == "language_modelling"
    theirs = Attention(
        WIDTH,
        dim_head=WIDTH // HEADS,
        heads=HEADS,
        causal=causal,
        gate_values=True,
        gate_values_headwise=not elementwise,
    ).double()
    theirs.attend.attn_fn = nn.Softmax(dim=-1)  # it would round to float32
    gate = sublayer.inside["before_out+gated_attention"].weights
    with torch.no_grad():
        for ours, its in ((sublayer.query, theirs.to_q), (sublayer.key, theirs.to_k), (sublayer.value, theirs.to_v)):
            ours.bias.zero_()
            its.weight.copy_(ours.weight)
        sublayer.out.bias.zero_()
        theirs.to_out.weight.copy_(sublayer.out.weight)
        (its,) = theirs.to_v_gate.parameters()
        its.copy_(gate.weight)
    x, direction = random(2, 5, WIDTH), random(2, 5, WIDTH, seed=2)

    def ours(x):
        return sublayer(x, Context())

    assert agree(ours, theirs, x, direction)
    gate.weight.data.zero_()
    assert not agree(ours, theirs, x, direction, 1e-2)
