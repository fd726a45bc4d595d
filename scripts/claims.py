"""The claims of all published studies as one Markdown table, those that do not hold first.

python scripts/claims.py [results/reference]
"""

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normexp.studies.claim import Verdict
from normexp.studies.claims_table import ORDER

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference"


def main(folder: Path) -> None:
    parts = [pd.read_csv(path).assign(study=path.parent.name) for path in sorted(folder.glob("*/claims.csv"))]
    claims = pd.concat(parts, ignore_index=True).fillna({"note": ""})
    number = {verdict: int((claims["verdict"] == verdict).sum()) for verdict in ORDER}
    papers = claims.loc[~claims["own"], "place"].str.partition(",")[0].nunique()
    print(
        f"# Claims\n\n{len(claims)} claims checked in {claims['study'].nunique()} studies: "
        f"{number[Verdict.HOLDS]} hold, {number[Verdict.FAILS]} do not, {number[Verdict.UNTESTED]} cannot be tested at "
        "this size. "
        f"{int((~claims['own']).sum())} are statements of {papers} papers, the others our own; "
        f"{int(claims['training'].sum())} needed training. Thresholds were committed before the runs.\n"
    )
    for verdict in ORDER:
        rows = claims[claims["verdict"] == verdict]
        if not len(rows):
            continue
        print(f"## {verdict[0].upper()}{verdict[1:]}\n\n| study | claim | measured | asked for | seeds that agree |")
        print("|---|---|---|---|---|")
        for row in rows.itertuples():
            text = f"{row.text} {row.note}".strip()
            link = f"[{row.study}]({row.study}/report.md) ({row.size})"
            print(f"| {link} | {text} | {row.statistic}: {row.measured} | {row.asked} | {row.agreeing}/{row.n} |")
        print()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE)
