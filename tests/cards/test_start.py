"""What a card says of a start, on planted tables: which of pre_ln and post_ln a variant is closer to."""

import pytest

from normexp.cards import start
from tests.support.cards import start_table

PEERS = {"pre_ln": (0.6, 0.0, 0.1, 0.5), "post_ln": (-1.0, 0.3, 1.0, 0.01)}


def closer(*planted: float, **peers: tuple[float, float, float, float]) -> list[str]:
    """The verdict of every measure on a variant with these numbers."""
    rows = start_table(mine=planted, **(PEERS | peers))  # type: ignore[arg-type]
    return [each.closer for each in start.readings(rows, "mine")]


def test_the_planted_numbers_are_measured() -> None:
    for reading, planted in zip(
        start.readings(start_table(**PEERS), "pre_ln"), map(abs, PEERS["post_ln"]), strict=True
    ):
        assert reading.values["post_ln"].estimate == pytest.approx(planted, rel=0.01)
        assert reading.closer == "pre_ln"


def test_a_variant_is_closer_to_the_peer_on_its_side() -> None:
    assert closer(0.7, 0.02, 0.2, 0.4) == ["pre_ln"] * 4
    assert closer(0.9, 0.25, 0.9, 0.02) == ["post_ln"] * 4
    assert closer(0.1, -0.5, -1.0, 0.9) == ["pre_ln"] * 4
    assert closer(-3.0, 0.5, 2.0, 0.001) == ["post_ln"] * 4


def test_in_the_middle_there_is_no_verdict() -> None:
    """The middle of a ratio is the geometric one."""
    between = "cannot tell (between pre_ln and post_ln)"
    assert closer(0.8, 0.15, 0.55, (0.5 * 0.01) ** 0.5) == [between] * 4


def test_peers_that_do_not_differ_decide_nothing() -> None:
    assert (
        closer(0.7, 0.3, 0.3, 0.3, post_ln=PEERS["pre_ln"])[2:]
        == ["cannot tell (pre_ln and post_ln do not differ here)"] * 2
    )


def test_what_is_not_a_number_cannot_be_measured() -> None:
    assert closer(0.6, float("nan"), 0.1, 0.5)[1].startswith("cannot be measured (the loss does not use")


def test_a_shift_of_0_has_no_logarithm() -> None:
    rows = start_table(mine=PEERS["pre_ln"], **PEERS)
    rows.loc[(rows["variant"] == "mine") & (rows["statistic"] == "output_shift"), "value"] = 0.0
    shift = next(each for each in start.readings(rows, "mine") if each.measure.name == "output shift")
    assert shift.closer == "cannot be measured (it is 0, of which there is no logarithm)"


def test_every_measure_is_a_sentence() -> None:
    rows = start_table(mine=(0.7, 0.02, 0.2, 0.4), **PEERS)
    said = list(start.sentences(start.readings(rows, "mine"), "mine"))
    assert [each.partition(":")[0] for each in said] == [
        "Jacobian, closer to pre_ln",
        "gradient slope, closer to pre_ln",
        "output shift, closer to pre_ln",
        "rank residual, closer to pre_ln",
    ]
    assert all(each.endswith(".") for each in said)


def test_a_wide_model_has_no_jacobian() -> None:
    rows = start_table(mine=(0.7, 0.02, 0.2, 0.4), **PEERS)
    found = start.readings(rows[rows["statistic"] != "jacobian_mean_square"], "mine")
    assert [each.measure.name for each in found] == ["gradient slope", "output shift", "rank residual"]
