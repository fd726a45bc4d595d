import json
from pathlib import Path

import pytest

from normexp.records.hparams import METRICS, hparams, swept_by
from tests.support.configs import config_of


@pytest.mark.slow
def test_swept_keys_come_first_and_nested_ones_have_a_column() -> None:
    swept = ("norm.eps", "model.dropout", "seed")
    row = hparams(config_of("norm.eps=0.5", "variant=pre_ln", "depth=2"), swept)
    assert list(row)[:4] == ["norm.eps", "model.dropout", "seed", "variant"]
    assert row["norm.eps"] == 0.5
    assert row["variant"] == "pre_ln"
    assert row["model"] == "tiny"


def test_an_option_that_a_choice_lacks_is_none() -> None:
    """Every run of a sweep needs the same columns."""
    assert hparams(config_of("norm=dyt"), ("norm.eps",))["norm.eps"] == "none"


def test_every_task_has_metrics() -> None:
    names = {path.stem for path in Path("configs/task").glob("*.yaml")}
    assert set(METRICS) == names


@pytest.mark.parametrize("content", ["", "[]", '{"swept": 3}', '{"runs": []}'])
def test_a_damaged_sweep_file_names_no_key(content: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(content)
    assert swept_by(tmp_path / "run") == ()


def test_swept_keys_are_read_beside_the_run(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"swept": ["norm.eps", "seed"]}))
    assert swept_by(tmp_path / "run") == ("norm.eps", "seed")
