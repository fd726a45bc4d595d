"""What a check says of a variant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from normexp.cards.case import Case


class State(StrEnum):
    PASSES = "passes"
    FAILS = "fails"
    SKIPPED = "not checked"


STATE_COLOURS: dict[str, str] = {State.PASSES: "green", State.FAILS: "bold red", State.SKIPPED: "yellow"}


@dataclass(frozen=True)
class Found:
    """What a check found in one model. where: it fails there; empty if it passes. note: what is worth knowing."""

    where: str = ""
    note: str = ""


@dataclass(frozen=True)
class Check:
    """A property that a variant must have: the sentences for a variant that has it, and for one that has not."""

    passes: str
    fails: str
    find: Callable[[Case], Found]


@dataclass(frozen=True)
class Finding:
    """A check of a variant, over all models that were built of it."""

    check: Check
    state: State
    where: str = ""
    note: str = ""

    @property
    def sentence(self) -> str:
        """The finding as one sentence, with the place where it fails."""
        if self.state is State.FAILS:
            return f"{self.check.fails}: {self.where}."
        return f"{self.check.passes} ({self.note})." if self.note else f"{self.check.passes}."


def headline(name: str, findings: Sequence[Finding]) -> str:
    """What the checks say of a variant, in one sentence."""
    failed = [each for each in findings if each.state is State.FAILS]
    if not failed:
        return f"{name} passes all {len(findings)} checks."
    why = "; ".join(each.check.fails[0].lower() + each.check.fails[1:] for each in failed)
    return f"{name} fails {len(failed)} of {len(findings)} checks: {why}."
