"""The table of claims: what does not hold first, each with its interval, its window and a note."""

import hashlib
from collections.abc import Mapping, Sequence

import pandas as pd
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from normexp.studies.claim import Claim
from normexp.studies.verdict import Verdict

ORDER = [Verdict.FAILS, Verdict.UNDECIDED, Verdict.UNTESTED, Verdict.HOLDS]
COLOURS = {
    Verdict.FAILS: "red",
    Verdict.UNDECIDED: "yellow",
    Verdict.UNTESTED: "magenta",
    Verdict.HOLDS: "green",
}


def ordered(claims: Sequence[Claim]) -> list[Claim]:
    """By verdict, what does not hold first; claims of one verdict as the study lists them."""
    return sorted(claims, key=lambda claim: ORDER.index(claim.verdict))


def count(claims: Sequence[Claim]) -> str:
    """12 claims (holds: 10, does not hold: 1, cannot tell: 0, cannot be tested: 1); controls are not counted."""
    counted = [claim for claim in claims if claim.kind != "control"]
    verdicts = (Verdict.HOLDS, Verdict.FAILS, Verdict.UNDECIDED, Verdict.UNTESTED)
    number = {verdict: sum(claim.verdict == verdict for claim in counted) for verdict in verdicts}
    each = ", ".join(f"{verdict}: {n}" for verdict, n in number.items())
    return f"{len(counted)} claim{'s' * (len(counted) != 1)} ({each})"


def marks(claim: Claim) -> str:
    """What a reader must know of a claim besides its text: that it is ours, exploratory or a control."""
    ours, late, control = claim.own and claim.kind != "control", claim.exploratory, claim.kind == "control"
    names = [name for name, is_so in (("our extension", ours), ("exploratory", late), ("control", control)) if is_so]
    return f" ({', '.join(names)})" if names else ""


def note(claim: Claim, notes: Mapping[str, str]) -> str:
    """The precondition that failed, and the study's own note."""
    failed = "" if claim.met else claim.precondition
    return " ".join(filter(None, (failed, notes.get(claim.name, ""))))


def table(claims: Sequence[Claim], title: str, notes: Mapping[str, str]) -> RenderableType:
    """The claims for a terminal."""
    out = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title=f"{title}, {count(claims)}")
    out.title_justify = "left"
    for column in ("verdict", "claim", "measured", "window", "seeds", "note"):
        out.add_column(column, no_wrap=column in ("verdict", "window"))
    for claim in ordered(claims):
        out.add_row(
            f"[{COLOURS[claim.verdict]}]{claim.verdict}[/]",
            f"{escape(claim.text)} [dim]({escape(claim.place)}){marks(claim)}[/]",
            f"{escape(claim.statistic)}: {escape(claim.measured)}",
            escape(claim.window),
            f"{claim.agreeing}/{len(claim.values)}",
            f"[dim]{escape(note(claim, notes))}[/]",
        )
    return out


def percent(claims: Sequence[Claim]) -> str:
    """Confidence level of the claims' intervals: 95 %, or 98.3 % where there are three looks."""
    return f"{100 * claims[0].level:.3g} %" if claims else ""


def markdown(claims: Sequence[Claim], notes: Mapping[str, str]) -> str:
    """The claims as a Markdown table."""
    lines = [
        f"| verdict | claim | place | measured [{percent(claims)} interval] | window (source) | seeds inside | note |",
        "|---|---|---|---|---|---|---|",
    ]
    for claim in ordered(claims):
        lines.append(
            f"| {claim.verdict} | {claim.text}{marks(claim)} | {claim.place} | {claim.statistic}: {claim.measured} "
            f"| {claim.window} ({claim.source}) | {claim.agreeing}/{len(claim.values)} | {note(claim, notes)} |"
        )
    return "\n".join(lines) + "\n"


def csv(claims: Sequence[Claim], notes: Mapping[str, str], size: str) -> str:
    """One row per claim, with the study's size and the value of every seed."""
    rows = [
        {
            **{"claim": claim.name, "verdict": str(claim.verdict), "text": claim.text, "place": claim.place},
            **{"statistic": claim.statistic, "kind": claim.kind, "estimate": at.estimate, "interval_low": at.low},
            **{"interval_high": at.high, "level": claim.level, "looks": claim.looks, "p": min(at.p * claim.looks, 1.0)},
            **{"n": len(claim.values), "low": claim.low, "high": claim.high},
            **{"source": claim.source, "agreeing": claim.agreeing, "precondition": claim.precondition},
            **{"met": claim.met, "exploratory": claim.exploratory, "training": claim.training, "own": claim.own},
            **{"values": " ".join(f"{value:.6g}" for value in claim.values), "measured": claim.measured},
            **{"window": claim.window, "note": note(claim, notes)},
        }
        for claim in claims
        for at in [claim.interval]
    ]
    return pd.DataFrame(rows).assign(size=size).to_csv(index=False, lineterminator="\n")


def windows(declared: Mapping[str, Mapping[str, Mapping[str, object]]]) -> str:
    """One line per claim of every study with what was fixed before the runs, and a sha256 over all of them.

    declared: by study and claim, the statistic, kind, window and source.
    """
    lines = [
        f"{study} {name}: {about['statistic']} | {about['kind']} | {about['low']} to {about['high']} | "
        f"{about['source']}{' | exploratory' if about['exploratory'] else ''}"
        for study, claims in sorted(declared.items())
        for name, about in claims.items()
    ]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return "\n".join([*lines, f"sha256 over the {len(lines)} lines above: {digest}"])
