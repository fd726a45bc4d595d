"""What made the runs of a sweep: commit, versions, processor, data; as JSON, nothing of paths or hosts.

python3 scripts/origin.py results/main
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normexp.records.provenance import origins


def main(folder: Path) -> None:
    found = origins(path.parent for path in folder.glob("**/provenance.json"))
    json.dump(found[0] if len(found) == 1 else found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
