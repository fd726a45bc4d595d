"""A user's folder, far from the repository."""

from pathlib import Path

import pytest

from tests.support.lab import write_lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lab(tmp_path_factory.mktemp("user") / "lab")
