"""What to say of a name that does not exist."""

import difflib
from collections.abc import Sequence


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """The closest of the names, as the end of a sentence; empty if none is close."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def unknown(what: str, name: str, names: Sequence[str]) -> str:
    """The sentence about a name that is none of the names: the one that is close, otherwise all of them."""
    if hint := did_you_mean(name, names):
        return f"{what}={name} does not exist{hint}"
    return f"{what} must be one of {', '.join(names)}; got {name}"
