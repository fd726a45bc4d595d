"""The table of claims: those that do not hold first, each with what was measured and what was asked for."""

from collections.abc import Mapping, Sequence

import pandas as pd
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from normexp.studies.claim import Claim, Verdict

ORDER = [Verdict.FAILS, Verdict.UNTESTED, Verdict.HOLDS]
COLOURS = {Verdict.FAILS: "red", Verdict.UNTESTED: "yellow", Verdict.HOLDS: "green"}


def ordered(claims: Sequence[Claim]) -> list[Claim]:
    """What does not hold first, then what could not be tested, then what holds; else as the study lists them."""
    return sorted(claims, key=lambda claim: ORDER.index(claim.verdict))


def count(claims: Sequence[Claim]) -> str:
    """12 claims: 10 hold, 1 does not hold, 1 cannot be tested."""
    number = {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in ORDER}
    parts = [
        f"{number[Verdict.HOLDS]} hold",
        f"{number[Verdict.FAILS]} {'does' if number[Verdict.FAILS] == 1 else 'do'} not hold",
        f"{number[Verdict.UNTESTED]} cannot be tested",
    ]
    return f"{len(claims)} claims: {', '.join(parts)}"


def said(claim: Claim, notes: Mapping[str, str]) -> str:
    """What was tried about a claim, or why it cannot be tested."""
    return notes.get(claim.name) or claim.why


def table(claims: Sequence[Claim], title: str, notes: Mapping[str, str]) -> RenderableType:
    """The claims for a terminal."""
    out = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title=f"{title}, {count(claims)}")
    out.title_justify = "left"
    for column in ("verdict", "claim", "measured", "asked for", "seeds"):
        out.add_column(column, no_wrap=column in ("verdict", "asked for"))
    for claim in ordered(claims):
        note = said(claim, notes)
        about = f"{escape(claim.text)} [dim]({escape(claim.place)})[/]" + (f"\n[dim]{escape(note)}[/]" if note else "")
        out.add_row(
            f"[{COLOURS[claim.verdict]}]{claim.verdict}[/]",
            about,
            f"{escape(claim.statistic)}: {claim.measured}",
            claim.threshold,
            f"{claim.agreeing}/{len(claim.known)}",
        )
    return out


def markdown(claims: Sequence[Claim], notes: Mapping[str, str]) -> str:
    """The claims as a Markdown table, then what was tried about those that do not hold."""
    lines = ["| verdict | claim | place | measured | asked for | seeds that agree |", "|---|---|---|---|---|---|"]
    for claim in ordered(claims):
        own = " (our extension)" if claim.own else ""
        lines.append(
            f"| {claim.verdict} | {claim.text}{own} | {claim.place} | {claim.statistic}: {claim.measured} "
            f"| {claim.threshold} | {claim.agreeing}/{len(claim.known)} |"
        )
    told = [(claim, note) for claim in ordered(claims) if (note := said(claim, notes))]
    if told:
        lines += ["", *(f"- **{claim.text}** {note}" for claim, note in told)]
    return "\n".join(lines) + "\n"


def csv(claims: Sequence[Claim], notes: Mapping[str, str], size: str) -> str:
    """One row per claim, with the study's size and the value of every seed."""
    rows = [
        {
            **{"claim": claim.name, "verdict": str(claim.verdict), "text": claim.text, "place": claim.place},
            **{"statistic": claim.statistic, "mean": claim.mean, "sd": claim.spread, "n": len(claim.known)},
            **{"low": claim.low, "high": claim.high, "agreeing": claim.agreeing, "training": claim.training},
            **{"own": claim.own, "values": " ".join(f"{value:.6g}" for value in claim.values)},
            **{"measured": claim.measured, "asked": claim.threshold, "note": said(claim, notes)},
        }
        for claim in claims
    ]
    return pd.DataFrame(rows).assign(size=size).to_csv(index=False, lineterminator="\n")
