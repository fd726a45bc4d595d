"""The equations that a model's own code writes when it runs on symbols, as `normexp show` prints them."""

import pytest

from normexp.views.show import describe
from tests.support.configs import with_values
from tests.support.models import node
from tests.support.runs import tiny_config

EQUATIONS = {
    "post_ln": """
  encoder layers 1–2
    h₁ = LN(x + A(x))
    x ← LN(h₁ + FFN(h₁))
  encoder closes
    output = x
  decoder layers 1–2
    h₁ = LN(x + A(x))
    h₂ = LN(h₁ + C(h₁, memory))
    x ← LN(h₂ + FFN(h₂))
  decoder closes
    output = x
""",
    "pre_ln": """
  encoder layers 1–2
    h₁ = x + A(LN(x))
    x ← h₁ + FFN(LN(h₁))
  encoder closes
    output = LN(x)
  decoder layers 1–2
    h₁ = x + A(LN(x))
    h₂ = h₁ + C(LN(h₁), memory)
    x ← h₂ + FFN(LN(h₂))
  decoder closes
    output = LN(x)
""",
    "no_residual": """
  encoder layers 1–2
    h₁ = LN(A(x))
    x ← LN(FFN(h₁))
  encoder closes
    output = x
  decoder layers 1–2
    h₁ = LN(A(x))
    h₂ = LN(C(h₁, memory))
    x ← LN(FFN(h₂))
  decoder closes
    output = x
""",
    "plain": """
  encoder layers 1–2
    h₁ = A(x)
    x ← FFN(h₁)
  encoder closes
    output = x
  decoder layers 1–2
    h₁ = A(x)
    h₂ = C(h₁, memory)
    x ← FFN(h₂)
  decoder closes
    output = x
""",
    "b2t": """
  encoder layers 1–2
    h₁ = LN(x + A(x))
    x ← LN(x + h₁ + FFN(h₁))
  encoder closes
    output = x
  decoder layers 1–2
    h₁ = LN(x + A(x))
    h₂ = LN(h₁ + C(h₁, memory))
    x ← LN(x + h₂ + FFN(h₂))
  decoder closes
    output = x
""",
    "parallel": """
  encoder layers 1–2
    x ← x + A(LN(x)) + FFN(LN(x))
  encoder closes
    output = LN(x)
  decoder layers 1–2
    x ← x + A(LN(x)) + C(LN(x), memory) + FFN(LN(x))
  decoder closes
    output = LN(x)
""",
    "dlcl_pre": """
  encoder layer 1
    y = einsum(mix, stack(x₀))
    h₁ = y + A(LN(y))
    h₂ = h₁ + FFN(LN(h₁))
    x ← x₀, LN(h₂)
  encoder layer 2
    y = einsum(mix, stack(x₀, x₁))
    h₁ = y + A(LN(y))
    h₂ = h₁ + FFN(LN(h₁))
    x ← x₀, x₁, LN(h₂)
  encoder closes
    output = LN(einsum(mix, stack(x₀, x₁, x₂)))
  decoder layer 1
    y = einsum(mix, stack(x₀))
    h₁ = y + A(LN(y))
    h₂ = h₁ + C(LN(h₁), memory)
    h₃ = h₂ + FFN(LN(h₂))
    x ← x₀, LN(h₃)
  decoder layer 2
    y = einsum(mix, stack(x₀, x₁))
    h₁ = y + A(LN(y))
    h₂ = h₁ + C(LN(h₁), memory)
    h₃ = h₂ + FFN(LN(h₂))
    x ← x₀, x₁, LN(h₃)
  decoder closes
    output = LN(einsum(mix, stack(x₀, x₁, x₂)))
""",
    "sub_ln": """
  encoder layers 1–2
    h₁ = x + A(LN(x))
    x ← h₁ + FFN(LN(h₁))
    inside A: LN at before_out
    inside FFN: LN at before_fc2
  encoder closes
    output = LN(x)
  decoder layers 1–2
    h₁ = x + A(LN(x))
    h₂ = h₁ + C(LN(h₁), memory)
    x ← h₂ + FFN(LN(h₂))
    inside A: LN at before_out
    inside FFN: LN at before_fc2
  decoder closes
    output = LN(x)
""",
    "admin": """
  encoder layers 1–2
    h₁ = LN(omega·x + A(x))
    x ← LN(omega·h₁ + FFN(h₁))
  encoder closes
    output = x
  decoder layers 1–2
    h₁ = LN(omega·x + A(x))
    h₂ = LN(omega·h₁ + C(h₁, memory))
    x ← LN(omega·h₂ + FFN(h₂))
  decoder closes
    output = x
""",
}


def printed(*overrides: str, variant: str) -> str:
    """What `normexp show` prints between the graph's title and the constants."""
    shown = describe(with_values(tiny_config(*overrides), variant=node(variant)))
    return shown.partition("FFN feed-forward:")[2].partition("\nConstants")[0]


@pytest.mark.parametrize("variant", EQUATIONS)
def test_the_graph_is_the_papers(variant):
    assert printed("depth=2", variant=variant) == EQUATIONS[variant]


@pytest.mark.slow
def test_the_norm_has_its_symbol():
    assert "x ← RMS(h₁ + FFN(h₁))" in printed("norm=rms_norm", variant="post_ln")
    assert "x ← h₁ + FFN(h₁)" in printed("norm=none", variant="post_ln")


@pytest.mark.slow
def test_layers_are_counted_stack_by_stack():
    shown = printed("model.encoder_depth=1", "model.decoder_depth=3", variant="plain")
    assert "  encoder layer 1\n" in shown
    assert "  decoder layers 1–3\n" in shown


@pytest.mark.slow
def test_a_slice_of_a_parameter_has_its_name():
    """The mix of DLCL is a row of one matrix; constants without a name are numbers."""
    assert "einsum(mix, stack(x₀, x₁))" in printed("depth=2", variant="dlcl_pre")
    assert "LN(2·h₁ + FFN(h₁))" in printed("depth=2", variant="scaled_skip")


@pytest.mark.slow
def test_every_tensor_of_a_long_stream_has_its_own_name():
    assert "stack(x₀, x₁, x₂, x₃, x₄, x₅, x₆, x₇, x₈, x₉, x₁₀, x₁₁)" in printed("depth=11", variant="dlcl_pre")
