from pathlib import Path

import pytest

from normexp.records.samples import NAME, Sample, read_samples, write_samples


def test_samples_are_read_back(tmp_path: Path) -> None:
    written = [Sample("5 мая", "le 5 mai", "le 6 mai"), Sample("", "a\nb", "")]
    write_samples(tmp_path, written)
    assert read_samples(tmp_path) == written
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("content", ["", "[", "{}", "[1]", '[{"given": "a"}]'])
def test_what_cannot_be_read_is_no_sample(content: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(content)
    assert read_samples(tmp_path) == []


def test_a_run_without_samples_has_none(tmp_path: Path) -> None:
    assert read_samples(tmp_path) == []
