"""What is said while a sweep runs, where there is no terminal."""

from typing import ClassVar

from normexp.records.folder import RunFolder
from normexp.sweep.progress import Progress


class Run(RunFolder):
    """A run of 10 steps whose status is whatever it was last given."""

    status: ClassVar[dict[str, object]] = {"state": "pending"}

    def end(self, state, **about):
        self.status = {"state": state, "outcome": "trained", "final_loss": 1.25, "error": None, **about}


def test_runs_that_were_complete_before_are_counted_and_not_listed(tmp_path, capsys):
    runs = [Run(tmp_path / name) for name in ("one", "two", "three")]
    runs[0].end("completed")
    with Progress(runs, costs=[1.0] * 3, steps=[10] * 3):
        runs[1].end("completed")
        runs[2].end("failed", error="no memory")
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "3 runs: 1 completed"
    assert lines == [
        "two completed: trained, final loss 1.250",
        f"three failed: no memory (log: {tmp_path / 'three' / 'log.txt'})",
    ]


def test_a_first_start_counts_nothing(tmp_path, capsys):
    with Progress([Run(tmp_path / "one")], costs=[1.0], steps=[10]):
        pass
    assert capsys.readouterr().err == ""
