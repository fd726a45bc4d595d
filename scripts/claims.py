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
from normexp.studies.verdict import Verdict, q_values

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference"


def main(folder: Path) -> None:
    parts = [pd.read_csv(path).assign(study=path.parent.name) for path in sorted(folder.glob("*/claims.csv"))]
    claims = pd.concat(parts, ignore_index=True)
    # Tables made before verdicts came from intervals lack these columns.
    old = {
        "exploratory": False,
        "kind": "",
        "p": float("nan"),
        "source": "",
        "window": claims.get("asked", ""),
        "note": "",
    }
    for column, value in old.items():
        claims[column] = claims[column].fillna(value) if column in claims else value
    controls, claims = claims[claims["kind"] == "control"], claims[claims["kind"] != "control"].copy()
    confirmatory = ~claims["exploratory"].astype(bool)
    claims["q"] = float("nan")
    claims.loc[confirmatory, "q"] = q_values(list(claims.loc[confirmatory, "p"]))
    number = {verdict: int((claims["verdict"] == verdict).sum()) for verdict in ORDER}
    papers = claims.loc[~claims["own"], "place"].str.partition(",")[0].nunique()
    print(
        f"# Claims\n\n{len(claims)} claims checked in {claims['study'].nunique()} studies: "
        f"{number[Verdict.HOLDS]} hold, {number[Verdict.FAILS]} do not, {number[Verdict.UNTESTED]} cannot be tested at "
        f"this size, and for {number[Verdict.UNDECIDED]} the runs cannot tell. "
        f"{int((~claims['own']).sum())} are statements of {papers} papers, the others our own; "
        f"{int(claims['training'].sum())} needed training; {int((~confirmatory).sum())} are exploratory. q: Benjamini "
        "and Hochberg's false discovery rate over the confirmatory claims.\n"
    )
    if len(controls):
        told = int((controls["verdict"] == Verdict.UNDECIDED).sum())
        print(
            f"In {told} of {len(controls)} controls (a variant against itself on other seeds) the runs cannot tell, as "
            "it should be.\n"
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
            print(
                f"| {link} | {text} | {row.statistic}: {row.measured} | {window} | {row.agreeing}/{row.n} | {q} "
                f"| {row.note} |"
            )
        print()


def print_windows() -> None:
    print(windows({name: read(name, path)[0].windows() for name, path in studies().items()}))


if __name__ == "__main__":
    if sys.argv[1:] == ["--windows"]:
        print_windows()
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE)
