"""Post-LN and Pre-LN are torch's own, to the last digits: same weights, same outputs, same gradients."""

import pytest
import torch
from torch import nn

from tests.support.configs import small_config
from tests.support.models import built, model_of

SMALLEST = {"width": 8, "heads": 2, "feed_forward": 8}
TORCH_NAMES = {"attention": "self_attn", "cross_attention": "multihead_attn"}


def torch_twin(stack, norm_first):
    """torch.nn's stack with the same weights."""
    size = {"d_model": 16, "nhead": 4, "dim_feedforward": 32, "dropout": 0.0, "batch_first": True}
    decoder = bool(stack.shape.stack == "decoder" and stack.shape.encoder_depth)  # one that reads an encoder
    layer = (nn.TransformerDecoderLayer if decoder else nn.TransformerEncoderLayer)(**size, norm_first=norm_first)
    final = nn.LayerNorm(16) if norm_first else None
    if decoder:
        twin = nn.TransformerDecoder(layer, stack.shape.depth, norm=final)
    else:
        twin = nn.TransformerEncoder(layer, stack.shape.depth, norm=final, enable_nested_tensor=False)
    twin.double()
    for ours, theirs in zip(stack.sites_by_layer, twin.layers, strict=True):
        for number, site in enumerate(ours, start=1):
            copy(site.norm, getattr(theirs, f"norm{number}"))
            if site.kind == "feed_forward":
                copy(site.sublayer.fc1, theirs.linear1)
                copy(site.sublayer.fc2, theirs.linear2)
            else:
                attention = getattr(theirs, TORCH_NAMES[site.kind])
                parts = [site.sublayer.query, site.sublayer.key, site.sublayer.value]
                attention.in_proj_weight.data = torch.cat([p.weight.data for p in parts])
                attention.in_proj_bias.data = torch.cat([p.bias.data for p in parts])
                copy(site.sublayer.out, attention.out_proj)
    if norm_first:
        copy(stack.variant.final_norm, twin.norm)
    return twin


def copy(source, target):
    target.weight.data = source.weight.data.clone()
    target.bias.data = source.bias.data.clone()


def gradients(stack, twin):
    """(ours, theirs) by readable name; q, k and v are compared with their slice of torch's fused matrix."""
    for ours, theirs in zip(stack.sites_by_layer, twin.layers, strict=True):
        for number, site in enumerate(ours, start=1):
            norm = getattr(theirs, f"norm{number}")
            yield f"{site.name} norm", site.norm.weight.grad, norm.weight.grad
            yield f"{site.name} norm bias", site.norm.bias.grad, norm.bias.grad
            if site.kind == "feed_forward":
                yield f"{site.name} fc1", site.sublayer.fc1.weight.grad, theirs.linear1.weight.grad
                yield f"{site.name} fc2", site.sublayer.fc2.weight.grad, theirs.linear2.weight.grad
                yield f"{site.name} fc2 bias", site.sublayer.fc2.bias.grad, theirs.linear2.bias.grad
            else:
                attention = getattr(theirs, TORCH_NAMES[site.kind])
                fused = attention.in_proj_weight.grad.chunk(3)
                for part, grad in zip(("query", "key", "value"), fused, strict=True):
                    yield f"{site.name} {part}", getattr(site.sublayer, part).weight.grad, grad
                yield f"{site.name} out", site.sublayer.out.weight.grad, attention.out_proj.weight.grad


def randomised(model, seed=1):
    """Float64, with biases and gains that differ from their start, so that none can be left out unseen."""
    generator = torch.Generator().manual_seed(seed)
    model.double()
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln"])
def test_encoder_and_decoder_equal_torch(variant):
    model = randomised(model_of(variant))
    encoder, decoder = (torch_twin(stack, variant == "pre_ln") for stack in model.stacks)
    x, y = torch.randn(3, 7, 16, dtype=torch.float64), torch.randn(3, 5, 16, dtype=torch.float64)
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[1, 4:] = mask[2, 2:] = False
    causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
    ours_in, theirs_in = (x.clone().requires_grad_() for _ in range(2))

    memory = model.encoder(ours_in, mask)
    ours = model.decoder(y, memory=memory, memory_mask=mask)
    their_memory = encoder(theirs_in, src_key_padding_mask=~mask)
    theirs = decoder(y, their_memory, tgt_mask=causal, memory_key_padding_mask=~mask)

    def close(a, b):
        return torch.allclose(a, b, rtol=0, atol=1e-10)

    assert close(memory[mask], their_memory[mask])
    assert close(ours, theirs)
    weight = torch.randn_like(ours)
    (ours * weight).sum().backward()
    (theirs * weight).sum().backward()
    assert close(ours_in.grad[mask], theirs_in.grad[mask])
    for stack, twin in zip(model.stacks, (encoder, decoder), strict=True):
        for name, a, b in gradients(stack, twin):
            assert a.abs().max() > 1e-6, name
            assert close(a, b), name


def test_the_decoder_cannot_see_what_it_will_predict(tokens):
    model = built(small_config(), vocabulary=20)
    before = model(**tokens)
    tokens["target"][:, 3] = 19 - tokens["target"][:, 3]
    after = model(**tokens)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])


def test_padding_changes_nothing(tokens):
    model = built(small_config(), vocabulary=20)
    alone = model(tokens["source"][1:2, :4], None, tokens["target"][1:2])
    assert torch.allclose(model(**tokens)[1:2], alone, atol=1e-5)
    classifier = built(small_config(task={"name": "classification"}), vocabulary=20, classes=4)
    alone = classifier(tokens["source"][1:2, :4])
    assert torch.allclose(classifier(tokens["source"], tokens["source_mask"])[1:2], alone, atol=1e-5)


def test_layers_differ_at_the_start():
    for stack in built(small_config(), vocabulary=20).stacks:
        seen = [p for site in stack.sites for p in site.sublayer.parameters() if p.dim() == 2]
        same_size = [(a, b) for i, a in enumerate(seen) for b in seen[:i] if a.shape == b.shape]
        assert len(same_size) >= 72
        assert not any(torch.equal(a, b) for a, b in same_size)


def test_variants_share_initial_weights_by_name():
    post, pre, none = (dict(model_of(v).named_parameters()) for v in ("post_ln", "pre_ln", "no_residual"))
    shared = set(post) & set(pre) & set(none)
    assert len(shared) == len(post)
    assert all(torch.equal(post[n], pre[n]) and torch.equal(post[n], none[n]) for n in shared)
    other = dict(built(small_config(seed=1), vocabulary=20).named_parameters())
    assert not torch.equal(post["embedding.words.weight"], other["embedding.words.weight"])


@pytest.mark.slow
@pytest.mark.parametrize(("depths", "deeper"), [((3, 3), (5, 7)), ((99, 1), (101, 2))])
def test_depth_changes_no_initial_weight_below(depths, deeper):
    """A layer has the same name, and so the same weights, in a stack of any depth: 07 in one of 101 layers too."""
    shallow, deep = (dict(model_of("post_ln", *each, model=SMALLEST).named_parameters()) for each in (depths, deeper))
    assert all(torch.equal(p, deep[name]) for name, p in shallow.items())


def test_layers_have_two_digits_and_more_where_needed():
    names = [name for name, _ in model_of("post_ln", 101, 1, model=SMALLEST).encoder.layers.named_children()]
    assert names == [f"{layer:02d}" for layer in range(1, 102)]
    assert names[6] == "07"


def test_greedy_translation_is_capped_and_equals_step_by_step(tokens):
    model = built(small_config(), vocabulary=20).eval()
    out = model.translate(tokens["source"], tokens["source_mask"], begin=1, end=2)
    assert all(len(words) <= 2 * 7 + 10 for words in out)
    row, written = 1, [1]
    while len(written) - 1 < 24:
        one = model(tokens["source"][row : row + 1, :4], None, torch.tensor([written]))[0, -1].argmax().item()
        if one == 2:
            break
        written.append(one)
    assert out[row] == written[1:]
