"""Golden numbers of variants: what a tiny model of each computes in float64. Writes tests/golden/NAME.json.

    python scripts/golden.py half       of the variant `half`, again if it has some
    python scripts/golden.py            of every variant that has none yet
    python scripts/golden.py --all      of every variant, again

Says what changed, old → new; a file whose numbers agree to 1e-6 is left as it is.
tests/variants/test_every_variant.py compares.
Of variants in a folder of your own: --config-dir lab; their numbers then lie in lab/golden.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from normexp.config.compose import Composer  # noqa: E402
from normexp.errors import ConfigError  # noqa: E402
from tests.support import golden  # noqa: E402


def renew(names: list[str], everything: bool, config_dir: str) -> None:
    """Write what is missing or asked for; raises ConfigError."""
    config_dirs = [config_dir] if config_dir else []
    offered = Composer("train", config_dirs).options("variant")
    if unknown := [name for name in names if name not in offered]:
        raise ConfigError(f"variant must be one of {', '.join(offered)}; got {unknown[0]}")
    folder = Path(config_dir) / "golden" if config_dir else golden.FOLDER
    own = sorted(path.stem for path in Path(config_dir).glob("variant/*.yaml")) if config_dir else offered
    chosen = names or [name for name in own if everything or golden.read(name, folder) is None]
    for name in chosen:
        kept, now = golden.read(name, folder), golden.numbers(name, config_dirs)
        changes = golden.differences(kept, now) if kept else []
        if changes or not kept:
            golden.write(name, now, folder)
        print(f"{name}: {'new' if not kept else 'changed' if changes else 'unchanged'}", *changes, sep="\n  ")
    if not chosen:
        print("every variant has its golden numbers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("names", metavar="NAME", nargs="*", default=[], help="variants, as on the command line")
    which.add_argument("--all", action="store_true", help="those that have numbers, too")
    parser.add_argument("--config-dir", metavar="DIR", default="", help="a folder of your own with variant/NAME.yaml")
    asked = parser.parse_args()
    try:
        renew(asked.names, asked.all, asked.config_dir)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
