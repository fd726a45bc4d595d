"""The switches of a model that concern norms: model.fix_norm and model.attention_norm."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp import norms
from normexp.errors import ConfigError
from normexp.model.variant import Context
from normexp.variants.pre_ln import PreLN
from normexp.views.show import describe
from tests.support.models import model_of, pre_ln_under
from tests.support.runs import tiny_config


def test_fix_norm_uses_directions_alone(tokens):
    one = pre_ln_under("scale_norm", fix_norm=True)
    words = one.embedding.words
    assert torch.allclose(words.vectors.norm(dim=-1), torch.ones(20).double())
    assert torch.equal(words.weight.float(), pre_ln_under("scale_norm").embedding.words.weight.float())
    before = one(**tokens)
    words.weight.data *= torch.linspace(0.5, 2, 20)[:, None]
    assert torch.allclose(one(**tokens), before)
    assert before.abs().max() <= 4 + 1e-6  # g cos(w, x), g = √width at the start
    entered = one.embedding(tokens["source"]) - one.embedding.positions[:7]
    assert torch.allclose(entered.norm(dim=-1), torch.full((3, 7), 4.0).double())


def test_fix_norm_leaves_a_matrix_of_its_own_alone(tokens):
    one = pre_ln_under("layer_norm", fix_norm=True, tied=False)
    assert torch.equal(one(**tokens), one.head(one.decoder(one.embedding(tokens["target"]), None, one.encode(
        tokens["source"], tokens["source_mask"]), tokens["source_mask"])))  # fmt: skip


@pytest.mark.parametrize(
    ("switch", "slots"),
    [("none", ""), ("qk", "query key"), ("qkv", "query key value"), ("qk_whole", "whole_query whole_key")],
)
def test_attention_norms_are_in_attention_only(switch, slots):
    for stack in pre_ln_under("rms_norm", attention_norm=switch).stacks:
        for site in stack.sites:
            inside = site.sublayer.inside
            assert list(inside) == ([] if site.kind == "feed_forward" else slots.split())
            size = (16,) if "whole" in slots else (4,)
            assert all(isinstance(norm, norms.RMSNorm) and norm.weight.shape == size for norm in inside.values())
            assert len({id(norm) for norm in inside.values()}) == len(inside)


@pytest.mark.parametrize("switch", ["qk", "qk_whole"])
@pytest.mark.parametrize("site", [0, 1])
def test_qk_norm_is_attention_over_normed_queries(site, switch, tokens):
    """Head by head, or over all heads before the split, as OLMo 2 has it."""
    one = pre_ln_under("layer_norm", attention_norm=switch).decoder.sites[site].sublayer
    for parameter in one.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    x, memory = torch.randn(3, 5, 16).double(), torch.randn(3, 7, 16).double()
    source = memory if one.cross else x

    def heads(linear: nn.Linear, of: Tensor, norm: Any) -> Tensor:
        whole = linear(of)
        if norm is not None and switch == "qk_whole":
            whole, norm = F.layer_norm(whole, whole.shape[-1:], norm.weight, norm.bias), None
        split = whole.view(3, -1, 4, 4).transpose(1, 2)
        return split if norm is None else F.layer_norm(split, split.shape[-1:], norm.weight, norm.bias)

    of_query, of_key = one.inside.values()
    q, k = heads(one.query, x, of_query), heads(one.key, source, of_key)
    scores = q @ k.transpose(-1, -2) / 2
    if not one.cross:
        scores = scores.masked_fill(torch.ones(5, 5, dtype=torch.bool).triu(1), -torch.inf)
    expected = one.out((scores.softmax(-1) @ heads(one.value, source, None)).transpose(1, 2).flatten(2))
    assert torch.allclose(one(x, Context(memory=memory)), expected)


def test_a_variants_module_replaces_an_attention_norm():
    target = f"{__name__}.{OwnQuery.__name__}"
    one = model_of("pre_ln", options={"_target_": target}, model={"attention_norm": "qk"})
    inside = one.encoder.sites[0].sublayer.inside
    assert isinstance(inside["query"], nn.Identity)
    assert isinstance(inside["key"], norms.LayerNorm)


class OwnQuery(PreLN):
    """Pre-LN that puts a module where a norm on the queries would be."""

    def branch_modules(self, site: Any) -> dict[str, nn.Module]:
        return {"query": nn.Identity()} if site.kind == "attention" else {}


@pytest.mark.slow
def test_attention_norms_read_the_norm_of_the_run():
    """Even under a variant that places none, where setting a norm is otherwise an error."""
    with pytest.raises(ConfigError, match="norm is not used by variant=re_zero"):
        tiny_config("variant=re_zero", "norm=rms_norm")
    shown = describe(tiny_config("variant=re_zero", "norm=rms_norm", "model.attention_norm=qk"))
    assert "inside A: RMS at query" in shown
