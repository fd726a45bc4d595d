"""The claims of all published studies as one Markdown table, those that do not hold first.

python scripts/claims.py [results/reference]     the table
python scripts/claims.py --windows               every claim's window, fixed before the runs, and a hash over them
"""

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normexp.studies.claims_table import ORDER, windows
from normexp.studies.runner import read, studies
from normexp.studies.verdict import ERROR, Verdict, in_family, q_values

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference"


def main(folder: Path) -> None:
    tables = {path.parent.name: pd.read_csv(path) for path in sorted(folder.glob("*/claims.csv"))}
    parts = [table.assign(study=name) for name, table in tables.items()]
    claims = pd.concat(parts, ignore_index=True).fillna({"note": ""})
    claims.loc[claims["verdict"] == Verdict.UNTESTED, "p"] = float("nan")  # it is in no family
    claims["q"], claims["alone"] = float("nan"), claims["verdict"]
    control = claims["kind"] == "control"
    for family in (control, ~control & ~claims["exploratory"].astype(bool)):
        claims.loc[family, "q"] = q_values(list(claims.loc[family, "p"]))
        claims.loc[family, "verdict"] = in_family(list(claims.loc[family, "alone"]), list(claims.loc[family, "q"]))
    controls, claims = claims[control], claims[~control]
    confirmatory = ~claims["exploratory"].astype(bool)
    changed = claims[claims["verdict"] != claims["alone"]]
    number = {verdict: int((claims["verdict"] == verdict).sum()) for verdict in ORDER}
    papers = claims.loc[~claims["own"], "place"].str.partition(",")[0].nunique()
    print("# Claims\n")
    print(
        f"{len(claims)} claims checked in {claims['study'].nunique()} studies: "
        f"{number[Verdict.HOLDS]} hold, {number[Verdict.FAILS]} do not, {number[Verdict.UNTESTED]} cannot be tested at "
        f"this size, and for {number[Verdict.UNDECIDED]} the runs cannot tell. "
        f"{int((~claims['own']).sum())} are statements of {papers} papers, the others our own; "
        f"{int(claims['training'].sum())} needed training; {int((~confirmatory).sum())} are exploratory. "
        f"{_decided(claims[confirmatory])} confirmatory claims hold or do not hold, "
        f"{_decided(claims[confirmatory & claims['training']])} of them after training.\n"
    )
    print(
        "q is Benjamini and Hochberg's false discovery rate over the confirmatory claims. A verdict with a q above "
        f"{ERROR:.0%} becomes *cannot tell* here: {len(changed)} of them.\n"
    )
    if len(controls):
        wrong = controls[controls["alone"] != Verdict.UNDECIDED]
        in_their_family = int((controls["verdict"] != Verdict.UNDECIDED).sum())
        chance = 1 - (1 - ERROR) ** len(controls)
        print(
            f"In {len(controls) - len(wrong)} of {len(controls)} controls (a variant against itself on other seeds) "
            "the runs cannot tell, as it should be."
            + "".join(
                f" That of {row.study} *{row.alone}* ({row.measured}){again(folder, row.study)}"
                for row in wrong.itertuples()
            )
            + f" At least one of {len(controls)} is wrong by chance with a probability of up to {chance:.0%}. As a "
            f"family of their own, with q at most {ERROR:.0%}, {in_their_family} of them have a verdict (smallest q "
            f"{controls['q'].min():.2g}).\n"
        )
    for verdict in ORDER:
        rows = claims[claims["verdict"] == verdict]
        if not len(rows):
            continue
        print(f"## {verdict[0].upper()}{verdict[1:]}\n")
        print("| study | claim | measured | window | seeds inside | q | note |\n|---|---|---|---|---|---|---|")
        for row in rows.itertuples():
            link = f"[{row.study}]({row.study}/report.md) ({row.size})"
            text = f"{row.text} (exploratory)" if row.exploratory else row.text
            window = f"{row.window} ({row.source})" if row.source else row.window
            q = "–" if pd.isna(row.q) else f"{row.q:.2g}"
            level = (
                f" at {row.level:.1%}" if getattr(row, "looks", 1) > 1 else ""
            )  # seeds were added until it was decided
            print(
                f"| {link} | {text} | {row.statistic}: {row.measured}{level} | {window} | {row.agreeing}/{row.n} | {q} "
                f"| {row.note} |"
            )
        print()


def again(folder: Path, study: str) -> str:
    """The result of a control that was repeated on fresh seeds, as the end of a sentence."""
    path = folder / study / "repeat.csv"
    if not path.is_file():
        return "."
    row = pd.read_csv(path).iloc[0]
    return f"; repeated on fresh seeds it comes out as *{row['verdict']}* ({row['measured']})."


def _decided(claims: pd.DataFrame) -> int:
    return int(claims["verdict"].isin([Verdict.HOLDS, Verdict.FAILS]).sum())


def print_windows() -> None:
    print(windows({name: read(name, path)[0].windows() for name, path in studies().items()}))


if __name__ == "__main__":
    if sys.argv[1:] == ["--windows"]:
        print_windows()
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE)
