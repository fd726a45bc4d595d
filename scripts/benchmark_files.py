"""Time and memory of data=files, from the file to the first training steps, as a Markdown table.

    python scripts/benchmark_files.py 250000 500000 1000000 2000000 > results/reference/benchmark/files.md

Pairs of 4 to 16 made-up words with Zipf's frequencies; each size in processes of their own, the first with an empty
cache, the second with the prepared data. Exit code 1 where a million pairs take more than 2 GB or 120 s, or memory
grows by more than 100 bytes a pair. CPU seconds are of all threads, for a machine that is busy with other things.
"""

import argparse
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

WORDS = 50_000
TRAIN = """
import sys
from normexp.data.corpus import load_corpus
from normexp.sweep.plan import plan
from normexp.training.trainer import Trainer

path = sys.argv[1]
words = ["data=files", f"data.path={path}", "data.source=en", "data.target=de", "depth=1", "training.device=cpu"]
config = plan("train", words).runs[0].config
trainer = Trainer(config, load_corpus(config.data))
data = trainer.data()
for _ in range(3):
    trainer.backward(next(data))
    trainer.update()
"""


@dataclass(frozen=True)
class Cost:
    """Of one process: wall and CPU seconds, and the most resident memory, in bytes."""

    wall: float
    cpu: float
    memory: int


def write_pairs(path: Path, count: int) -> None:
    """A TSV file of so many pairs."""
    chooser = random.Random(0)
    words = ["".join(chooser.choices("abcdefghijklmnoprstuvw", k=chooser.randint(2, 10))) for _ in range(WORDS)]
    weights = [1 / (rank + 2) for rank in range(WORDS)]
    with path.open("w") as file:
        file.write("en\tde\n")
        for start in range(0, count, 10_000):
            drawn = iter(chooser.choices(words, weights, k=400_000))
            for _ in range(min(10_000, count - start)):
                sides = ([next(drawn) for _ in range(chooser.randint(4, 16))] for _ in range(2))
                file.write("\t".join(" ".join(side) for side in sides) + "\n")


def cost(path: Path, cache: Path) -> Cost:
    """What planning, preparing and three training steps take in a process of their own."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", TRAIN, str(path)], env={**os.environ, "NORMEXP_CACHE": str(cache)})
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"preparing {path} failed")
    return Cost(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", type=int, default=[250_000, 500_000, 1_000_000, 2_000_000])
    asked = parser.parse_args()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"`python scripts/benchmark_files.py {' '.join(map(str, asked.pairs))}`\n")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; load before (1, 5 and 15")
    print(f"minutes): {load}. A load above 0 makes seconds longer, not CPU seconds.\n")
    print("| pairs | file | first: s | CPU s | memory | again: s | CPU s | memory |")
    print("|---" * 8 + "|", flush=True)
    costs: dict[int, tuple[Cost, Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in asked.pairs:
            path = Path(folder, f"{count}.tsv")
            write_pairs(path, count)
            costs[count] = first, again = cost(path, Path(folder, "cache")), cost(path, Path(folder, "cache"))
            both = " | ".join(f"{c.wall:.0f} | {c.cpu:.0f} | {c.memory / 1e6:,.0f} MB" for c in (first, again))
            print(f"| {count:,} | {path.stat().st_size / 1e6:,.0f} MB | {both} |", flush=True)
            path.unlink()
    fewest, most = min(costs), max(costs)
    growth = [(costs[most][i].memory - costs[fewest][i].memory) / max(1, most - fewest) for i in range(2)]
    print(f"\nMemory grows by {growth[0]:.0f} bytes a pair at first, {growth[1]:.0f} with prepared data.")
    million = costs.get(1_000_000)
    slow = million is not None and (million[0].memory > 2e9 or million[0].wall > 120)
    sys.exit(1 if slow or max(growth) > 100 else 0)


if __name__ == "__main__":
    main()
