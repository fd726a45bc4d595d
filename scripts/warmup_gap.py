"""What leaving out the warm-up costs each variant, over paired seeds, from the runs.csv of a sweep over warmup=0,X.

    python3 scripts/warmup_gap.py results/reference/warmup_gap/runs.csv

gap(variant) = final loss without warm-up − final loss with it, seed by seed. Needs nothing beyond Python.
"""

import csv
import math
import statistics
import sys
from collections import defaultdict


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean and its standard error."""
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def main(path: str) -> None:
    losses: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    with open(path, newline="") as file:
        for run in csv.DictReader(file):
            kind = "without" if run["warmup"] == "0" else "with"
            losses[run["variant"], kind][int(run["seed"])] = float(run["final_loss"])
    gaps = {}
    for variant in dict.fromkeys(variant for variant, _ in losses):
        without, warm = losses[variant, "without"], losses[variant, "with"]
        gaps[variant] = {seed: without[seed] - warm[seed] for seed in sorted(without)}
    gaps["post_ln − pre_ln"] = {s: gap - gaps["pre_ln"][s] for s, gap in gaps["post_ln"].items()}
    seeds = list(gaps["post_ln"])
    print("Final loss without warm-up minus with it (nats per token):\n")
    print("| variant | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean | standard error | mean / error |")
    print("|---" * (len(seeds) + 4) + "|")
    for variant, gap in gaps.items():
        mean, error = mean_and_error(list(gap.values()))
        numbers = [*(f"{gap[seed]:.3f}" for seed in seeds), f"{mean:.3f}", f"{error:.3f}", f"{mean / error:.1f}"]
        print(f"| {variant} | " + " | ".join(numbers) + " |")


if __name__ == "__main__":
    main(sys.argv[1])
