"""normexp reproduce: from a study's name to its report; interrupted, finished, failed; a study of one's own."""

import textwrap
import time

import pytest

from tests.support.cli import in_process
from tests.support.runs import TINY, normexp

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pdf", "no_workers")]

STUDY = """
from normexp.studies.declare import claim, figure
from normexp.studies.statistics import per_seed
from normexp.studies.study import Study, best_lr
from normexp.studies.windows import at_least, at_most


class Small(Study):
    title = "A question of one's own: does a small stack learn?"

    def plan(self):
        rates = yield self.parts["rates"]
        lr = best_lr(rates.frame)["pre_ln"]
        yield self.parts["runs"].with_keys(lr=lr)

    @figure(title="Loss", x="step", label="nats", caption="")
    def loss(self):
        return self.rows()

    @claim("ourselves", "nats", at_least(0, "difference", "theory"))
    def learns(self):
        "The loss falls."
        return self.falls()

    @claim("nobody", "nats", at_most(0, "difference", "theory"))
    def flies(self):
        "The loss rises."
        return self.falls()

    @claim("elsewhere", "nats", at_least(0, "difference", "theory"))
    def reads(self):
        "The stack reads Wikipedia."
        self.needs("There is no Wikipedia here.", False)
        return []

    def rows(self):
        return self.runs["runs"].curves("nll", split="train")

    def falls(self):
        return per_seed(self.rows(), lambda seed: seed["value"].iloc[0] - seed["value"].iloc[-1])
"""


@pytest.fixture
def lab(outside):
    small = " ".join(TINY)
    (outside / "lab" / "study").mkdir(parents=True)
    (outside / "lab" / "small.py").write_text(STUDY)
    (outside / "lab" / "study" / "small.yaml").write_text(
        textwrap.dedent(f"""\
        _target_: small.Small
        parts:
          rates:
            command: sweep
            overrides: {small} steps=6 variant=pre_ln depth=1 lr=1e-4,1e-2
            quick: seed=100
            full: seed=100,101
          runs:
            command: sweep
            overrides: {small} steps=6 variant=pre_ln depth=1
            quick: seed=range(5)
            full: seed=range(6)
        notes:
          flies: It was never meant to.
        """)
    )
    return outside


COMMAND = ("reproduce", "small", "--quick", "--config-dir", "lab")


def reproduce(*more):
    return in_process(*COMMAND, "--jobs", "1", *more)


def test_a_study_runs_draws_and_judges(lab):
    done = normexp(*COMMAND, "--out", "published", cwd=lab)
    assert done.returncode == 0, done.stderr
    assert "3 claims (holds: 1, does not hold: 1, cannot tell: 0, cannot be tested: 1)" in " ".join(done.stdout.split())
    table = done.stdout.partition("verdict")[2]
    assert table.index("does not hold") < table.index("holds ")
    folder = lab / "results" / "small-quick"
    report = (folder / "report.md").read_text()
    assert "does a small stack learn? (quick)" in report.splitlines()[0]
    assert "It was never meant to." in report
    assert "lr=0.01" in report  # the chosen rate stands in the command
    for name in ("report.md", "claims.csv", "runs.csv", "rates.csv", "figures/loss.png", "figures/loss.svg"):
        assert (folder / name).is_file()
        assert (lab / "published" / name).is_file()

    tables = lab / "results" / "parts"
    before = {path: path.stat().st_mtime_ns for path in tables.rglob("*.parquet")}
    assert before
    start = time.perf_counter()
    again = reproduce()
    assert time.perf_counter() - start < 30
    assert again.exit_code == 0
    assert "0 to do" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in tables.rglob("*.parquet")} == before


def test_an_interrupted_study_goes_on(lab):
    done = reproduce()
    assert done.exit_code == 0, done.stderr
    runs = sorted((lab / "results" / "parts").glob("runs-*/*/status.json"))
    kept, damaged, *_, cut = runs
    damaged.with_name("curves.parquet").write_bytes(b"")
    cut.write_text(cut.read_text().replace('"completed"', '"running"'))  # as a machine that went down leaves it
    stamp = kept.stat().st_mtime_ns
    again = reproduce()
    assert again.exit_code == 0, again.stderr
    assert "runs: 5 runs, 2 to do" in again.stderr
    assert f"{damaged.parent.name}: curves.parquet has 0 bytes, not what was written; repairing it" in again.stderr
    assert kept.stat().st_mtime_ns == stamp


def test_more_seeds_reuse_the_runs_of_fewer(lab):
    more = reproduce("--seeds", "6")
    assert more.exit_code == 0, more.stderr
    assert "small quick: 8 runs to do, " in more.stderr.splitlines()[0]
    assert more.stderr.splitlines()[0].endswith("; the same command resumes")
    report = lab / "results" / "small-quick" / "report.md"
    assert "(n = 6)" in report.read_text()
    assert "'seed=range(0,6)'" in report.read_text()

    fewer = reproduce()
    assert "runs: 5 runs, 0 to do" in fewer.stderr
    assert "the same command resumes" not in fewer.stderr
    assert "(n = 5)" in report.read_text()
    assert "(n = 6)" not in report.read_text()

    decided = reproduce("--until-decided", "--at-most", "10")
    assert decided.exit_code == 0, decided.stderr
    assert "Verdicts were asked for at 5, 10 seeds" in report.read_text()
    assert "the last time at 5." in report.read_text()
    assert "measured [97.5 % interval]" in report.read_text()


def test_seeds_are_added_until_a_claim_is_decided(lab):
    """Two claims of which no number of seeds can tell, since every other seed is for and every other one against."""
    wavering = STUDY.replace("return self.falls()", "return [fall * (-1) ** i for i, fall in enumerate(self.falls())]")
    (lab / "lab" / "small.py").write_text(wavering)
    done = reproduce("--until-decided", "--at-most", "7")
    assert done.exit_code == 0, done.stderr
    assert done.stderr.index("runs: 5 runs, 5 to do") < done.stderr.index("runs: 7 runs, 2 to do")
    assert done.stderr.count("rates: 2 runs") == 2  # the plan is asked again, because what it chooses may change
    assert done.stderr.count("rates: 2 runs, 0 to do") == 1
    text = (lab / "results" / "small-quick" / "report.md").read_text()
    assert "the last time at 7." in text
    assert text.count("| cannot tell |") == 2
    assert text.count("(n = 7)") == 2
    again = reproduce("--until-decided", "--at-most", "7")
    assert again.stderr.count(", 0 to do") == 4


def test_a_run_that_fails_is_named_and_tried_again(lab):
    yaml = lab / "lab" / "study" / "small.yaml"
    good = yaml.read_text()
    (lab / "lab" / "variant").mkdir()
    (lab / "lab" / "variant" / "broken.yaml").write_text("_target_: broken.Broken\n")
    broken = "from normexp.variants import Variant\n\n\nclass Broken(Variant):\n    pass\n"
    (lab / "lab" / "broken.py").write_text(broken)  # it has neither a join nor a layer
    yaml.write_text(good.replace("quick: seed=range(5)\n", "quick: seed=0 variant=pre_ln,broken\n"))
    done = reproduce()
    assert done.exit_code == 1
    assert "error: runs of small failed, so nothing is drawn; see " in done.stderr
    assert "broken-" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (lab / "results" / "small-quick" / "figures").exists()


def test_studies_are_listed_and_an_unknown_one_is_refused(lab):
    listed = in_process("reproduce", "--config-dir", "lab")
    assert "does a small stack learn?" in listed.stdout
    assert "xiong2020" in listed.stdout
    unknown = in_process("reproduce", "nosuch")
    assert unknown.exit_code == 2
    assert unknown.stderr.startswith("error: study must be one of")
    assert unknown.stdout == ""


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(lab):
    done = reproduce("--dry-run")
    assert done.exit_code == 0, done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    assert rows["rates"][:2] == ["2", "2"]
    assert rows["runs"][:2] == ["5", "5"]
    assert "7 runs to do, less than a minute with" in done.stdout
    assert "3 claims, and what is measured for each:" in done.stdout
    assert [path.name for path in lab.iterdir()] == ["lab"]
