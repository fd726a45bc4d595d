"""Every paper, report and repository that the project cites, each of them once: the rows of papers.csv.

Variants, norms and initialisers refer to a paper by its key. Where two papers share first author and year, key and
citation name what the paper proposes.
"""

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paper:
    """One source: `authors` as running text cites them, `link` to arXiv, to the publisher or to the code.

    name: what the paper proposes; given only where another paper has the same first author and year.
    """

    key: str
    authors: str
    year: int
    title: str
    link: str
    name: str = ""

    @property
    def citation(self) -> str:
        """For example "Vaswani et al. 2017"."""
        return f"{self.authors} {self.year}" + (f" ({self.name})" if self.name else "")


def _read() -> dict[str, Paper]:
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)  # the names of the columns
        papers = [Paper(key, authors, int(year), title, *more) for key, authors, year, title, *more in rows]
    found = {paper.key: paper for paper in papers}
    if len(found) < len(papers):
        raise ValueError("papers.csv has a key twice")
    return found


PAPERS = _read()


def papers_of(keys: str | tuple[str, ...]) -> list[Paper]:
    """The papers behind the `paper` attribute of a class: one key, several, or "" for none.

    Raises KeyError for a key that is not in PAPERS.
    """
    return [PAPERS[key] for key in ((keys,) if isinstance(keys, str) else keys) if key]


def citations(keys: str | tuple[str, ...]) -> str:
    """For example "Wang et al. 2019, Xiong et al. 2020"; "" for none."""
    return ", ".join(paper.citation for paper in papers_of(keys))
