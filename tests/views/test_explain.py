import pytest

from normexp.config.compose import Composer
from normexp.config.schema import CHOICES, iter_keys
from normexp.errors import ConfigError
from normexp.views.explain import explain


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer("train")


@pytest.mark.parametrize("name", [name for name, _ in iter_keys()] + [*CHOICES])
def test_every_key_has_a_meaning(name: str, composer: Composer) -> None:
    first, *rest = explain(name, composer).splitlines()
    assert first.startswith(f"{name}: ")
    assert len(first) > len(name) + 8
    assert rest


def test_a_number_has_its_default_and_its_bounds(composer: Composer) -> None:
    assert explain("model.dropout", composer).splitlines() == [
        "model.dropout: dropout on embeddings and branch outputs",
        "  default: 0",
        "  accepts: at least 0 and less than 1",
    ]


def test_a_group_lists_its_names_with_their_formulas(composer: Composer) -> None:
    lines = explain("norm", composer).splitlines()
    assert "  rms_norm       g · x / √(mean(x²) + eps), with g = 1 at the start (Zhang & Sennrich 2019)." in lines
    variants = [line.split() for line in explain("variant", composer).splitlines()]
    assert ["pre_ln", "x", "←", "x", "+", "F(LN(x)),", "LN", "at", "the", "end"] in variants


def test_an_option_has_its_default_in_every_class(composer: Composer) -> None:
    assert "  rms_norm: default 1e-6; g · x / √(mean(x²) + eps), with" in explain("norm.eps", composer)
    assert explain("variant.alpha", composer).splitlines()[1:] == ["  keel: default none; another constant than S"]
    assert "every step; see torch's Adam" in explain("optimizer.betas", composer)


def test_an_option_of_a_probe_or_an_add_on_is_explained(composer: Composer) -> None:
    assert explain("probes.sharpness.iterations", composer).splitlines()[1].startswith("  sharpness: default 20")
    assert explain("addon.prores.form", composer).splitlines()[1].startswith("  prores: default linear")
    assert "  prores              f ← αf, α = min(1, t/(T·l)) at step t" in explain("addon", composer).splitlines()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("dept", "; did you mean depth"),
        ("norm.epsilon", "; did you mean norm.eps"),
        ("addon.prores.frm", "; did you mean addon.prores.form"),
        ("xyz", ""),
    ],
)
def test_a_wrong_key_is_one_sentence(name: str, hint: str, composer: Composer) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is not a key{hint}"):
        explain(name, composer)
