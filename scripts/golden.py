"""Write the golden numbers of variants: what a tiny model of each computes in float64, for tests/test_groups.py.

    python scripts/golden.py half       the variant `half`
    python scripts/golden.py            every variant that has none yet
    python scripts/golden.py --all      every variant anew; says which numbers changed

A variant in a folder of your own: --config-dir lab; its numbers then go to lab/golden.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import golden_numbers as golden  # noqa: E402

from normexp.launch import Composer  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", nargs="*", help="their names, as on the command line")
    parser.add_argument("--all", action="store_true", help="every variant, those that have numbers too")
    parser.add_argument("--config-dir", default="", help="a folder of your own with variant/NAME.yaml")
    asked = parser.parse_args()
    config_dirs = [asked.config_dir] if asked.config_dir else []
    folder = Path(asked.config_dir) / "golden" if asked.config_dir else golden.FOLDER
    known = Composer("train", config_dirs).options("variant")
    if unknown := sorted(set(asked.variant) - set(known)):
        sys.exit(f"error: {unknown[0]}: there is no such variant; one of {', '.join(known)} is right")
    for name in asked.variant or [n for n in known if asked.all or not golden.path(n, folder).is_file()]:
        before = golden.read(name, folder) if golden.path(name, folder).is_file() else None
        golden.write(name, config_dirs, folder)
        after = golden.read(name, folder)
        changed = [task for task in after if before and after[task] != before.get(task)]
        print(f"{name}: {'new' if before is None else 'changed in ' + ', '.join(changed) if changed else 'unchanged'}")


if __name__ == "__main__":
    main()
