"""What people read of a run: what its model wrote for texts that it had not seen, and the graph that it computed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from normexp.records.atomic import replacing
from normexp.records.reading import MEGABYTE, Damaged, read_bytes, read_json, visible

NAME = "samples.json"
GRAPH = "graph.txt"  # the equations that the model computes


@dataclass(frozen=True)
class Sample:
    """One text of the test part, as people read it.

    given: what the model read. expected: the reference, the rest of the text, or the class. written: its own answer.
    """

    given: str
    expected: str
    written: str

    @property
    def exact(self) -> bool:
        """Whether the answer is the reference."""
        return self.written == self.expected


def write_samples(run: Path, samples: Sequence[Sample]) -> None:
    """Keep the samples of a run, atomically."""
    with replacing(run / NAME) as temporary:
        temporary.write_text(json.dumps([asdict(each) for each in samples], ensure_ascii=False, indent=1), "utf-8")


def read_samples(run: Path) -> list[Sample]:
    """The samples of a run; none where it kept none or they cannot be read."""
    try:
        found = read_json(run / NAME, 64 * MEGABYTE)
        return [Sample(str(each["given"]), str(each["expected"]), str(each["written"])) for each in found]
    except (Damaged, TypeError, KeyError):
        return []


def read_graph(run: Path) -> str:
    """The graph of a run, with no control characters but line ends; empty where it kept none."""
    try:
        return "\n".join(map(visible, read_bytes(run / GRAPH, 16 * MEGABYTE).decode().split("\n")))
    except ValueError:
        return ""
