"""A decoder on its own: causal, blind to padding and to sources, torch's own where torch has it, and trained."""

import json

import pytest
import torch
from torch import nn

from normexp.data.corpus import load_corpus
from normexp.training.trainer import Trainer
from tests.support.cli import in_process
from tests.support.configs import config_of
from tests.support.models import model_of
from tests.support.runs import TINY

SMALL = [  # without keys of translation alone
    *(key for key in TINY if not key.startswith(("record.sentences", "data."))),
    *("data.packages=networkx", "data.sequences=300", "data.length=32"),
]


def language_model(variant):
    return model_of(variant, task="language_modelling").double().eval()


@pytest.fixture
def tokens():
    return torch.randint(4, 20, (3, 7), generator=torch.Generator().manual_seed(0))


def torch_twin(stack, norm_first):
    """nn.TransformerEncoder, which with a causal mask is a decoder on its own, with the same weights."""
    layer = nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True, norm_first=norm_first)
    final = nn.LayerNorm(16) if norm_first else None
    twin = nn.TransformerEncoder(layer, stack.shape.depth, norm=final, enable_nested_tensor=False).double().eval()
    for (attention, feed_forward), theirs in zip(stack.sites_by_layer, twin.layers, strict=True):
        parts = [attention.sublayer.query, attention.sublayer.key, attention.sublayer.value]
        theirs.self_attn.in_proj_weight.data = torch.cat([part.weight.data for part in parts])
        theirs.self_attn.in_proj_bias.data = torch.cat([part.bias.data for part in parts])
        pairs = [(attention.sublayer.out, theirs.self_attn.out_proj), (attention.norm, theirs.norm1)]
        pairs += [(feed_forward.sublayer.fc1, theirs.linear1), (feed_forward.sublayer.fc2, theirs.linear2)]
        for ours, other in [*pairs, (feed_forward.norm, theirs.norm2)]:
            other.load_state_dict(ours.state_dict())
    if norm_first:
        twin.norm.load_state_dict(stack.variant.final_norm.state_dict())
    return twin


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln"])
def test_it_equals_torchs_encoder_under_a_causal_mask(variant):
    stack = language_model(variant).decoder
    generator = torch.Generator().manual_seed(1)
    for parameter in stack.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    twin = torch_twin(stack, norm_first=variant == "pre_ln")
    x = torch.randn(3, 7, 16, generator=generator, dtype=torch.float64)
    mask = nn.Transformer.generate_square_subsequent_mask(7, dtype=torch.float64)
    ours, theirs = (f.requires_grad_() for f in (x.clone(), x.clone()))
    out, other = stack(ours), twin(theirs, mask=mask, is_causal=True)
    assert torch.allclose(out, other, atol=1e-10)
    direction = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    (out * direction).sum().backward()
    (other * direction).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-10)


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "no_residual"])
def test_causality(variant, tokens):
    """Changing a target token changes no prediction before it, and some after it."""
    model = language_model(variant)
    changed = tokens.clone()
    changed[:, 4] = 4 + (changed[:, 4] - 3) % 16
    before, after = model(None, None, tokens), model(None, None, changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_padding_changes_nothing(tokens):
    model = language_model("pre_ln")
    alone = model(None, None, tokens[:1, :5])
    assert torch.allclose(model(None, None, tokens)[:1, :5], alone, atol=1e-12)


@pytest.mark.slow
def test_batches_hold_targets_alone():
    config = config_of(*SMALL, "task=language_modelling")
    corpus = load_corpus(config.data)
    trainer = Trainer(config, corpus)
    batch = next(trainer.data())
    assert batch.source.shape[1] == 0
    assert batch.source_mask is None
    assert batch.target.numel() <= config.training.batch_tokens
    assert sum(len(b.labels) for b in trainer.batches.epoch(None)) == len(corpus.examples("train"))


@pytest.mark.slow
@pytest.mark.usefixtures("svg_alone", "no_workers")
def test_a_run_has_an_outcome_and_no_translation(outside):
    done = in_process("train", *SMALL, "task=language_modelling", "steps=20")
    assert done.exit_code == 0, done.stderr
    (path,) = outside.glob("results/train/*/status.json")
    status = json.loads(path.read_text())
    assert status["outcome"] in ("trained", "partial", "stuck")
    assert status["token_accuracy"] > 0
    assert "bleu" not in status
    assert status["permuted_loss"] is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "right"),
    [
        ("model.encoder_depth=3", "set task=translation or task=classification"),
        ("record.sentences=3", "set task=translation"),
        ("data=cldr_languages", "cannot be used with task=language_modelling"),
    ],
)
def test_keys_that_it_does_not_read_are_errors(key, right, outside):
    done = in_process("train", "task=language_modelling", key)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert right in done.stderr
