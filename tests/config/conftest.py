"""Results land in a temporary folder."""

import pytest


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path / "results"))
