"""Positions in the embedding, in attention, and none: against code that shares nothing with ours."""

import math

import numpy as np
import pytest
import torch
from x_transformers.x_transformers import AlibiPositionalBias, RotaryEmbedding, apply_rotary_pos_emb

from normexp.errors import ConfigError
from normexp.model.attention import Attention
from normexp.model.positions import linear_bias, rotate, slopes
from normexp.model.variant import Context
from tests.support.configs import config_of, small_config
from tests.support.models import built, node

KINDS = ("sinusoidal", "learned", "rotary", "alibi", "none")


def model_with(positions: str, task: str = "classification", **size: object):
    config = small_config(variant=node("pre_ln"), task={"name": task}, model={"positions": positions, **size})
    return built(config).double().eval()


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_rotary_is_a_product_of_complex_numbers() -> None:
    x = numbers(2, 3, 7, 10)
    angles = np.arange(7)[:, None] * 10_000.0 ** (-2 * np.arange(5) / 10)
    expected = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * torch.from_numpy(np.exp(1j * angles))
    torch.testing.assert_close(rotate(x), torch.view_as_real(expected).flatten(-2))


def test_rotary_is_that_of_x_transformers() -> None:
    x = numbers(2, 3, 9, 8)
    frequencies, _ = RotaryEmbedding(8).forward_from_seq_len(9)
    torch.testing.assert_close(rotate(x), apply_rotary_pos_emb(x, frequencies.double()), rtol=1e-5, atol=1e-5)


def test_rotary_depends_on_the_distance_alone() -> None:
    query, key = numbers(1, 1, 1, 8).expand(-1, -1, 12, -1), numbers(1, 1, 2, 8)[..., :1, :].expand(-1, -1, 12, -1)
    logits = rotate(query) @ rotate(key).transpose(-1, -2)
    for distance in range(-11, 12):
        diagonal = logits[0, 0].diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert logits[0, 0, 0].std() > 0.01


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        (8, [2**-h for h in range(1, 9)]),  # Press et al. 2022, section 3
        (16, [2 ** (-h / 2) for h in range(1, 17)]),
        (3, [2**-4, 2**-8, 2**-2]),  # the authors' code: those of two heads, then the first of four
    ],
)
def test_the_slopes_are_those_of_the_paper(heads: int, expected: list[float]) -> None:
    assert slopes(heads) == pytest.approx(expected)


@pytest.mark.parametrize("heads", [1, 4, 6, 12])
def test_the_bias_is_that_of_x_transformers(heads: int) -> None:
    theirs = AlibiPositionalBias(heads)(5, 5).double()
    torch.testing.assert_close(linear_bias(torch.tensor(slopes(heads), dtype=torch.float64), 5, theirs), theirs)


@pytest.mark.parametrize("persistent", [0, 3])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_adds_the_bias_to_the_logits(causal: bool, persistent: int) -> None:
    """Softmax written out, with padding at the end and keys without a position in front."""
    attention = Attention(8, 2, 0.0, {}, causal=causal, persistent=persistent, positions="alibi").double()
    for parameter in attention.parameters():
        parameter.data = 0.5 * numbers(*parameter.shape)
    x, real = numbers(2, 6, 8), torch.ones(2, 6, dtype=torch.bool)
    real[1, 4:] = False
    query, key, value = (attention.split(each(x)) for each in (attention.query, attention.key, attention.value))
    logits = query @ key.transpose(-1, -2) / 2
    for head, slope in enumerate((2**-4, 2**-8)):
        for i in range(6):
            for j in range(6):
                hidden = j > i if causal else None
                logits[:, head, i, j] -= slope * abs(i - j)
                gone = torch.full((2,), hidden) if causal else ~real[:, j]
                logits[gone, head, i, j] = -math.inf
    if persistent:
        more = query @ (attention.persistent_key * 2.0).transpose(-1, -2) / 2
        logits = torch.cat([more, logits], dim=-1)
        own = (attention.persistent_value * math.sqrt(persistent)).expand(2, -1, -1, -1)
        value = torch.cat([own, value], dim=2)
    expected = attention.out((logits.softmax(-1) @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x, Context(mask=real)), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_only_an_encoder_without_positions_reads_a_bag_of_words(kind: str) -> None:
    model, text = model_with(kind), torch.tensor([[5, 6, 7, 8, 9]])
    same = torch.allclose(model(text), model(text[:, [1, 0, 2, 3, 4]]))
    assert same == (kind == "none")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_serves_every_task(kind: str, tokens) -> None:
    model = model_with(kind, "translation")
    logits = model(tokens["source"], tokens["source_mask"], tokens["target"])
    assert logits.isfinite().all()
    padded = tokens["source"].clone()
    padded[1, 4:] = 9  # what is behind the mask does not count
    torch.testing.assert_close(model(padded, tokens["source_mask"], tokens["target"]), logits)
    later = tokens["target"].clone()
    later[:, 3:] = 9
    torch.testing.assert_close(model(tokens["source"], tokens["source_mask"], later)[:, :3], logits[:, :3])


def test_no_position_has_weights_in_the_embedding() -> None:
    names = {kind: {name for name, _ in model_with(kind).named_parameters()} for kind in KINDS}
    assert names["learned"] - names["none"] == {"embedding.positions"}
    assert names["sinusoidal"] == names["rotary"] == names["alibi"] == names["none"]


def test_rotary_needs_pairs_of_columns() -> None:
    with pytest.raises(ConfigError, match=r"width / model.heads must be even with model.positions=rotary; got 5"):
        config_of("model.width=15", "model.heads=3", "model.positions=rotary")
