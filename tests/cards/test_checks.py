"""Every check finds its mistake, and only that, in a variant of a user's folder; no shipped variant has one."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from normexp.cards.checks import CHECKS, RUNS, check
from normexp.cards.finding import Finding, State, headline
from normexp.cards.subject import subject
from normexp.config.compose import Composer

SMALL = ["depth=4", "model.width=16", "model.heads=2", "model.feed_forward=16"]
VARIANTS = Composer("train").options("variant")
BOTH = ("post_ln", "pre_ln", "per_stack", "admin", "mhc")  # checked as encoder-decoders too
UNBOUNDED = {"no_norm": "Its gradients are not finite"}  # its stream doubles at every site: too large at 48 layers


def findings_of(*overrides: str, lab: Path | None = None, tasks: Sequence[str] = ()) -> dict[str, Finding]:
    """The findings of a small model, by the sentence of one that passes."""
    about = subject("check", [*SMALL, *overrides], [str(lab)] if lab else [])
    return {each.check.passes: each for each in check(about.config, tasks or about.tasks)}


def failed(found: dict[str, Finding]) -> dict[str, str]:
    """Where the checks fail, by their sentence."""
    return {each.check.fails: each.where for each in found.values() if each.state is State.FAILS}


ALONE = ["language_modelling"]  # a decoder alone has every mistake, and takes a third of the time
MISTAKES = {
    "mean_over_tokens": {
        "It reads future tokens": "decoder layer 1, what attention reads, changes at the first token when later tokens",
        "It depends on the rest of the batch": "decoder layer 1, what attention reads, .* content of its padding",
    },
    "hidden_mean": {
        "It reads future tokens": "decoder layer 1, the stream after attention, changes",
        "It depends on the rest of the batch": "decoder layer 1, the stream after attention, .* padding",
    },
    "length": {
        "It reads future tokens": "decoder layer 1, the stream after attention, .* later tokens are left out",
        "It depends on the rest of the batch": "decoder layer 1, the stream after attention, .* read alone",
    },
    "batch_mean": {"It depends on the rest of the batch": "decoder layer 1, the stream .* other texts of the batch"},
    "training_mean": {"It depends on the rest of the batch": "decoder layer 1, what attention reads, .* other texts"},
    "explodes": {"Its gradients are not finite": "at 48 layers the forward is not finite, first at decoder layer"},
    "unused": {"Not every parameter gets a gradient": r"decoder\.02\.feed_forward\.spare is not used$"},
    "drawn": {"It does not give the same result twice": r"other values in decoder\.01\.attention\.a, .* and 5 more"},
    "counts": {
        "It does not give the same result twice": "in evaluation the second forward gives other logits",
        "It does not survive save and load": "in no parameter and no buffer",
    },
    "remembers": {
        "It reads future tokens": "decoder layer 1, what attention reads, changes at the first token when later tokens",
        "It depends on the rest of the batch": "decoder layer 1, what attention reads, .* content of its padding",
        "It does not survive save and load": "in no parameter and no buffer",
    },
    "calibrated": {"It does not survive save and load": "a loaded model gives other logits"},
    "forgets": {
        "Not all layers join the residual stream alike": r"^layer 3 differs from its neighbours, attention drops the "
        r"stream: h₁ = A\(LN\(x\)\) where layer 2 has h₁ = x \+ A\(LN\(x\)\)$"
    },
    "forgets_inside": {
        "Not all layers join the residual stream alike": "layer 3 differs .*, feed-forward drops the stream"
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", MISTAKES)
def test_a_mistake_fails_its_own_check_alone(variant: str, lab: Path) -> None:
    found = failed(findings_of(f"variant={variant}", lab=lab, tasks=ALONE))
    assert len(found) == len(MISTAKES[variant]), found
    for (fails, where), (expected, place) in zip(found.items(), MISTAKES[variant].items(), strict=True):
        assert fails.startswith(expected)
        assert re.search(place, where), where


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["harmless", "pre_ln"])
def test_a_variant_without_a_mistake_passes(variant: str, lab: Path) -> None:
    found = findings_of(f"variant={variant}", lab=lab)
    assert list(found) == [each.passes for each in (RUNS, *CHECKS)]
    assert {each.sentence for each in found.values()} == {f"{each.passes}." for each in (RUNS, *CHECKS)}


@pytest.mark.slow
def test_what_is_meant_is_a_note(lab: Path) -> None:
    """A mixed variant may drop the residual, a control may have none, and one layer may differ in another way."""
    joined = CHECKS[-1].passes
    for variant, note in (
        ("means_it", r"layer 3 differs from its neighbours, attention drops the stream: h₁ = LN\(A\(x\)\)"),
        ("other_scale", "layer 3 differs from its neighbours"),
        ("no_residual", "no layer has a residual connection"),
        ("mix_ln", "layer 1 and layers 2–4 compute different equations"),
    ):
        found = findings_of(f"variant={variant}", lab=lab, tasks=ALONE)
        assert not failed(found)
        assert re.match(note, found[joined].note), found[joined].note
    assert findings_of("variant=dlcl_pre", tasks=ALONE)[joined].note == ""  # its stream grows from layer to layer


@pytest.mark.slow
def test_what_fades_in_is_checked_at_its_end_too() -> None:
    found = failed(findings_of("variant=no_norm", "addon=[prores]", "model.width=32", tasks=ALONE))
    (where,) = found.values()
    assert re.match(r"at 48 layers the gradient of .* is not finite at step 1,000,000$", where)


@pytest.mark.slow
def test_a_gate_that_starts_closed_is_a_note() -> None:
    found = findings_of("variant=re_zero", tasks=ALONE)
    assert not failed(found)
    assert re.match(r"\d+ have none at the first step", found["Every parameter gets a gradient"].note)


@pytest.mark.slow
def test_both_models_are_checked(lab: Path) -> None:
    """What only one of them shows is said with its name, what both show is said once."""
    found = failed(findings_of("variant=reads_memory", lab=lab))
    assert list(found.values()) == ["decoder.variant.reader is not used (only decoder alone)"]
    (where,) = failed(findings_of("variant=forgets", lab=lab)).values()
    assert where.count("layer 3 differs") == 1


def test_code_that_raises_is_a_finding(lab: Path) -> None:
    first, *others = findings_of("variant=crashes", lab=lab, tasks=ALONE).values()
    assert first.state is State.FAILS
    assert re.match(r"RuntimeError: .* \(judged_variants\.py, line \d+\)$", first.where)
    assert {each.state for each in others} == {State.SKIPPED}
    assert headline("crashes", [first, *others]) == "crashes fails 1 of 8 checks: it does not run."


@pytest.mark.slow
def test_the_task_that_is_set_is_the_only_one() -> None:
    """An encoder alone reads all tokens, and a norm over the tokens of a text is no mistake there."""
    found = findings_of("task=classification", "norm=instance_norm", "variant=pre_ln")
    assert not failed(found)
    assert found["It reads no future token"].note == "there is no decoder"


@pytest.mark.slow
def test_a_norm_over_the_batch_is_found_in_training() -> None:
    found = failed(findings_of("norm=batch_norm", "variant=pre_ln", tasks=ALONE))
    assert list(found) == ["It reads future tokens", "It depends on the rest of the batch"]
    assert found["It reads future tokens"].startswith("decoder layer 1, what attention reads")


@pytest.mark.slow
def test_the_global_generator_keeps_its_state() -> None:
    before = torch.get_rng_state()
    findings_of("variant=pre_ln", tasks=ALONE)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_shipped_variant_passes(variant: str) -> None:
    found = failed(findings_of(f"variant={variant}", tasks=() if variant in BOTH else ALONE))
    assert [each[: len(UNBOUNDED.get(variant, ""))] for each in found] == (
        [UNBOUNDED[variant]] if variant in UNBOUNDED else []
    )
