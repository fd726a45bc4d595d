"""Give every bad command line of tests/support/fuzz.py to normexp; print those that are not refused in one sentence.

python scripts/fuzz.py [every nth]
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.fuzz import answer, bad_lines


def main(stride: int) -> int:
    """Exit code 1 if any line was answered wrongly."""
    lines = list(dict.fromkeys(bad_lines()))[::stride]
    faults, slowest = 0, (0.0, "")
    for line in lines:
        start = time.perf_counter()
        if fault := answer(line).fault:
            faults += 1
            print(f"{line[:100]}: {fault}", flush=True)
        slowest = max(slowest, (time.perf_counter() - start, line[:80]))
    print(
        f"{len(lines)} bad command lines, {faults} answered wrongly; the slowest took {slowest[0]:.1f} s: {slowest[1]}"
    )
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
