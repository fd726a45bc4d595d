"""What made the runs of a sweep or a study: commit, versions, processor, data; as JSON, nothing of paths or hosts.

python3 scripts/origin.py results/main
"""

import json
import sys
from pathlib import Path

KEYS = ("git", "python", "packages", "platform", "processor", "cores", "gpu", "data_sha256")


def main(folder: Path) -> None:
    found = []
    for path in sorted(folder.glob("**/provenance.json")):
        for attempt in json.loads(path.read_text()):
            origin = {key: attempt[key] for key in KEYS}
            git = origin["git"]
            origin["git"] = {"commit": git["commit"], "clean": not git["diff"]} if git else None
            if origin not in found:
                found.append(origin)
    json.dump(found[0] if len(found) == 1 else found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
