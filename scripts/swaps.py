"""Whether depth helps on data=swaps: the accuracy of Pre-LN by depth and by the number of swaps, over three seeds.

python scripts/swaps.py             trains what is missing, then measures
python scripts/swaps.py --draw      the page from results/reference/swaps/swaps.csv
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import normexp
from normexp.data.batches import Batches
from normexp.data.examples import Examples
from normexp.data.swaps import start_only
from normexp.training.evaluate import losses
from scripts.make_or_draw import make_or_draw

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference" / "swaps"
TABLE = REFERENCE / "swaps.csv"
NAME = "swaps"
SWEEP = ["task=classification", "data=swaps", "variant=pre_ln", "depth=1,2,4", "seed=range(3)"]
SWEEP += ["lr=3e-3", "steps=2000", "training.batch_tokens=500", "record.evaluate_every=1000", "probe.every=0"]
PLACES = 5


def train(jobs: int) -> Path:
    """Train what is missing; returns the folder of the sweep."""
    command = [sys.executable, "-m", "normexp", "sweep", *SWEEP, "--name", NAME, "--jobs", str(jobs)]
    subprocess.run(command, check=True)
    return Path(os.environ.get("NORMEXP_RESULTS", "results"), NAME)


def measure(folder: Path) -> pd.DataFrame:
    """Loss and accuracy on the test part of every run, by the number of swaps."""
    rows = []
    for path in sorted(each.parent for each in folder.glob("*/config.yaml")):
        run = normexp.load(path)
        by_swaps: dict[int, list[int]] = {}
        for row, text in enumerate(run.corpus.splits["test"]["text"]):
            by_swaps.setdefault(text.count("-"), []).append(row)
        test = run.corpus.examples("test")
        for swaps, chosen in sorted(by_swaps.items()):
            batches = Batches(Examples.of([test[row] for row in chosen]), 5000).epoch(None)
            found = losses(run.model, batches, torch.device("cpu"))
            about = {"depth": run.config.depth, "seed": run.config.seed, "swaps": swaps, "examples": len(chosen)}
            rows.append(about | {"loss": found["nll"], "accuracy": found["accuracy"]})
    return pd.DataFrame(rows)


def page(rows: pd.DataFrame) -> str:
    """Means over the seeds with the lowest and the highest of them."""
    counts = sorted(rows["swaps"].unique())
    lines = [
        "# Does a model use its depth? Swaps",
        "",
        "Accuracy on the test part of `data=swaps`, by depth and by the number of swaps in a text: mean over "
        f"{rows['seed'].nunique()} seeds (lowest to highest). Made by `scripts/swaps.py` from the sweep",
        "",
        f"    normexp sweep {shlex.join(SWEEP)}",
        "",
        "The rate is the same at every depth and not tuned; runs are stopped after 2,000 steps, before they converge. "
        "There are only 50 texts of one swap, of which few are in the test part. The last column is the mean of the "
        "others; the last row is the accuracy of a model that reads the start and the number of swaps alone.",
        "",
        f"| depth | {' | '.join(f'swaps: {count}' for count in counts)} | mean |",
        "|---" * (2 + len(counts)) + "|",
    ]
    for depth, part in rows.groupby("depth"):
        cells = [_cell(part[part["swaps"] == count]["accuracy"]) for count in counts]
        lines.append(f"| {depth} | {' | '.join(cells)} | {_cell(part.groupby('seed')['accuracy'].mean())} |")
    shares = [start_only(PLACES, count) for count in counts]
    shares.append(sum(shares) / len(shares))
    lines.append(f"| no swap read | {' | '.join(f'{share:.2f}' for share in shares)} |")
    return "\n".join(lines) + "\n"


def _cell(values: "pd.Series[float]") -> str:
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"


def make(jobs: int) -> None:
    """Train what is missing, and write the table."""
    rows = measure(train(jobs))
    REFERENCE.mkdir(parents=True, exist_ok=True)
    rows.to_csv(TABLE, index=False, lineterminator="\n", float_format="%.4g")


def draw() -> None:
    (REFERENCE / "swaps.md").write_text(page(pd.read_csv(TABLE)))


if __name__ == "__main__":
    make_or_draw("The accuracy on data=swaps by depth and by the number of swaps.", make, draw)
