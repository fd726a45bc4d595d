"""The command line of scripts that train what is missing, and then write pages and figures from published tables."""

import argparse
from collections.abc import Callable


def make_or_draw(about: str, make: Callable[..., None], draw: Callable[[], None], **more: int) -> None:
    """Call make(jobs), unless --draw asks for the pages alone, then draw().

    more: further numbers that make takes, and their defaults.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--draw", action="store_true", help="only draw, from the published tables")
    for name, default in more.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    if not given.draw:
        make(given.jobs, **{name: getattr(given, name) for name in more})
    draw()
