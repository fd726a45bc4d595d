"""What `normexp status` says of a run: by its folder, its silence, and what Slurm says of its job."""

from types import SimpleNamespace
from typing import Any

import pytest

from normexp.sweep.status import NO_ANSWER, _state


@pytest.mark.parametrize(
    ("state", "silence", "said", "shown"),
    [
        ("failed", 0, "", "failed"),
        ("running", 5, "RUNNING", "running"),
        ("running", 61, "RUNNING", "lost"),
        ("running", 61, "SUSPENDED", "running"),
        ("pending", 0, "PENDING", "waiting"),
        ("pending", 0, "RUNNING", "starting"),
        ("interrupted", 0, "gone", "lost"),
        ("interrupted", 0, "", "interrupted"),
        ("pending", 0, NO_ANSWER, "pending"),
    ],
)
def test_a_run_is_lost_only_where_its_job_is(state: str, silence: float, said: str, shown: str) -> None:
    folder: Any = SimpleNamespace(silence=silence)
    assert _state(folder, {"state": state}, said)[0] == shown
