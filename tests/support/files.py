"""Files as a user may have them: pairs of texts in two scripts, labels, and what is wrong with them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

GREEK = ("ένα", "δύο", "τρία", "τέσσερα", "πέντε", "έξι", "επτά", "οκτώ", "εννέα", "δέκα")
GEORGIAN = ("ერთი", "ორი", "სამი", "ოთხი", "ხუთი", "ექვსი", "შვიდი", "რვა", "ცხრა", "ათი")


def pairs(count: int = 60) -> list[tuple[str, str]]:
    """Numbers, digit by digit, in Greek and Georgian; all different."""
    digits = [[int(digit) for digit in str(7919 * i + 10_007)] for i in range(count)]
    return [(" ".join(GREEK[d] for d in row), " ".join(GEORGIAN[d] for d in row)) for row in digits]


def write_table(path: Path, rows: Iterable[Sequence[str]], delimiter: str = "\t", start: str = "") -> Path:
    """Lines of fields, written as they are. start: what comes before, such as a byte-order mark."""
    path.write_text(start + "".join(delimiter.join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def pairs_file(path: Path, count: int = 60, delimiter: str = "\t") -> Path:
    """A table with the columns el and ka."""
    return write_table(path, [("el", "ka"), *pairs(count)], delimiter)


def labels_file(path: Path, labels: Sequence[str], count: int = 60) -> Path:
    """A CSV file with the columns text and label; the labels are repeated."""
    rows = [(source, labels[i % len(labels)]) for i, (source, _) in enumerate(pairs(count))]
    return write_table(path, [("text", "label"), *rows], ",")
