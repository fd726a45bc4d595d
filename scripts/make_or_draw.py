"""The command line of scripts that train what is missing, and then write pages and figures from published tables."""

import argparse
from collections.abc import Callable


def make_or_draw(about: str, make: Callable[[int], None], draw: Callable[[], None]) -> None:
    """Call make(jobs), unless --draw asks for the pages alone, then draw()."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--draw", action="store_true", help="only draw, from the published tables")
    given = parser.parse_args()
    if not given.draw:
        make(given.jobs)
    draw()
