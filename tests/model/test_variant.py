"""What the variant interface allows: layers of its shape, streams of several tensors, modules inside branches."""

import pytest
import torch
from torch import Tensor, nn

from normexp.model.replaced import replaced
from normexp.model.stack import Stack
from normexp.model.variant import Site, StackShape, Variant
from normexp.variants.b2t import B2T
from normexp.variants.post_ln import PostLN
from normexp.variants.sub_ln import SubLN
from tests.support.models import model_of

STRETCHING = ["b2t", "parallel", "dlcl_pre", "sub_ln", "admin"]  # each needs another part of the interface


def stack_of(variant: type[Variant], depth: int = 2) -> Stack:
    return Stack(
        StackShape("encoder", depth, 0, width=16, heads=4, feed_forward=32),
        lambda shape: variant(shape, nn.LayerNorm),
        activation="relu",
        dropout=0.0,
        attention_dropout=0.0,
    )


@pytest.mark.parametrize("task", ["translation", "classification"])
@pytest.mark.parametrize("name", STRETCHING)
def test_every_parameter_learns(name, task, tokens):
    model = model_of(name, task=task)
    inputs = tokens if task == "translation" else {k: tokens[k] for k in ("source", "source_mask")}
    model(**inputs).logsumexp(-1).sum().backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A key's bias adds the same to every logit of a softmax.
    assert [n for n in idle if not n.endswith("key.bias")] == []


def test_a_slot_that_does_not_exist_is_an_error():
    class Misplaced(SubLN):
        def branch_modules(self, site: Site) -> dict[str, nn.Module]:
            return {"before_fc3": nn.Identity()}

    with pytest.raises(ValueError, match=r"must be one of input, .*; got before_fc3"):
        stack_of(Misplaced)


def test_a_variant_without_join_and_layer_is_an_error():
    class Empty(Variant):
        """Nothing."""

    with pytest.raises(TypeError, match="Empty must define join or layer"):
        stack_of(Empty)(torch.randn(1, 3, 16))


# -- where the stream is recorded ----------------------------------------------------------------------------------


class SilentB2T(PostLN):
    """B2T as a user would write it, without any capture."""

    def layer(self, stream: Tensor, sites: list[Site]) -> Tensor:
        x = stream
        for site in sites[:-1]:
            x = self.join(x, site)
        return sites[-1].norm(stream + x + sites[-1].branch(x))


def streams(stack: Stack, x: Tensor, trace: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    trace = {} if trace is None else trace
    stack(x, trace=trace)
    return {name.removesuffix("/stream"): value for name, value in trace.items() if name.endswith("/stream")}


def test_the_stack_records_where_a_layer_ends():
    """A variant that overrides `layer` without a capture has the same values there as one that records every site."""
    x = torch.randn(2, 5, 16)
    ours, theirs = stack_of(SilentB2T), stack_of(B2T)
    ours.load_state_dict(theirs.state_dict())
    silent, recorded = streams(ours, x), streams(theirs, x)
    assert list(silent) == ["encoder", "encoder.01.feed_forward", "encoder.02.feed_forward"]
    assert len(recorded) == 1 + 4
    assert all(torch.equal(value, recorded[name]) for name, value in silent.items())


def test_a_trace_that_is_used_again_is_overwritten():
    stack, trace = stack_of(SilentB2T), {}
    first, second = (streams(stack, x, trace) for x in torch.randn(2, 1, 5, 16))
    assert not torch.equal(first["encoder.02.feed_forward"], second["encoder.02.feed_forward"])


def test_what_a_variant_records_itself_is_kept():
    """DLCL's list ends with a normed output; the stream after its last site is the output before that norm."""
    model = model_of("dlcl_pre")
    stack = model.encoder
    with replaced(stack.variant, main_stream=lambda stream: torch.zeros(1) if isinstance(stream, list) else stream):
        after = streams(stack, torch.randn(2, 5, 16))
    assert after.pop("encoder").shape == (1,)
    assert all(value.shape == (2, 5, 16) for value in after.values())


# -- replaced ------------------------------------------------------------------------------------------------------


def test_replaced_methods_come_back():
    module = nn.Linear(2, 2)
    x = torch.randn(3, 2)
    expected = module(x)
    with replaced(module, forward=lambda x: x):
        assert module(x) is x
    assert torch.equal(module(x), expected)
    with pytest.raises(ValueError, match="deep"), replaced(module, forward=lambda x: x):
        raise ValueError("deep")
    assert torch.equal(module(x), expected)
    assert "forward" not in vars(module)
