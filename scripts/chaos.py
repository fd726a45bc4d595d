"""Kill tiny sweeps and damage their files at random; print whether any run was lost or came to other tables.

python scripts/chaos.py [kills] [damages] [seed]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.chaos import chaos


def main(kills: int = 100, damages: int = 60, seed: int = 0) -> int:
    """Exit code 1 if anything was lost, different or left over, or if a command ended in a traceback."""
    outcome = chaos(kills, damages, seed=seed, say=lambda outcome: print(outcome, flush=True))
    for fault in (*outcome.lost, *outcome.different, *outcome.tracebacks, *outcome.left):
        print(fault)
    return int(not outcome.good)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
