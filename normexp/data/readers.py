"""Files as tables: CSV, JSON lines, parquet, lines of text. What is wrong with one is said with its row."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from normexp.errors import ConfigError

LONGEST_LINE = 1 << 23  # bytes
# How compressed files start.
COMPRESSED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstandard"}
Batches = Iterator[Mapping[str, Sequence[Any]]]


@dataclass(frozen=True)
class File:
    """A file that is read as a table; `where` is what messages call it."""

    path: Path

    @property
    def where(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class Lines(File):
    """A file of plain text: one column, text, and a row per line."""

    def iter(self, batch_size: int) -> Batches:
        rows = (line.rstrip("\r\n") for line in lines(self.path))
        while batch := list(islice(rows, batch_size)):
            yield {"text": batch}


@dataclass(frozen=True)
class Aligned:
    """Two files of plain text whose lines belong together: a column each. names: of the columns."""

    source: Path
    target: Path
    names: tuple[str, str]

    @property
    def where(self) -> str:
        return f"{self.source} and {self.target}"

    def iter(self, batch_size: int) -> Batches:
        rows = zip_longest(*(lines(path) for path in (self.source, self.target)))
        while batch := list(islice(rows, batch_size)):
            if None in batch[-1]:
                counts = [sum(1 for _ in lines(path)) for path in (self.source, self.target)]
                raise ConfigError(
                    f"{self.source} has {counts[0]:,} lines and {self.target} has {counts[1]:,}; they must have "
                    "equally many"
                )
            sources, targets = ([text.rstrip("\r\n") for text in side] for side in zip(*batch, strict=True))
            yield dict(zip(self.names, (sources, targets), strict=True))


@dataclass(frozen=True)
class Separated(File):
    """A CSV or TSV file with a header. quotes: whether fields may be quoted, with anything inside."""

    delimiter: str
    quotes: bool

    def iter(self, batch_size: int) -> Batches:
        quoting: Any = csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE
        csv.field_size_limit(LONGEST_LINE)
        reader = csv.reader(lines(self.path), delimiter=self.delimiter, quoting=quoting, strict=True)
        row = 0
        try:
            header = next(reader, [])
            if repeated := next((name for name in header if header.count(name) > 1), None):
                raise ConfigError(f"{self.path} has two columns named {repeated!r}; rename one")
            rows = (fields for fields in reader if fields)
            while batch := list(islice(rows, batch_size)):
                for fields in batch:
                    row += 1
                    if len(fields) != len(header):
                        raise ConfigError(
                            f"{self.path}, row {row} has {len(fields)} fields where the header has {len(header)}; "
                            "quote fields that hold the delimiter, or set data.delimiter"
                        )
                yield dict(zip(header, zip(*batch, strict=True), strict=True))
            if not row:
                yield dict.fromkeys(header, ())
        except csv.Error as error:
            remedy = "close its quotation mark, or set data.quotes=false if quotation marks are text"
            if "new-line" in str(error):
                remedy = "end lines with \\n, not with \\r alone"
            elif "limit" in str(error):
                remedy = "close its quotation mark, or break the text into several"
            raise ConfigError(f"{self.path}, line {reader.line_num} cannot be read ({error}); {remedy}") from error


@dataclass(frozen=True)
class JsonLines(File):
    """A file with a JSON object a line."""

    def iter(self, batch_size: int) -> Batches:
        names: dict[str, None] = {}
        rows = self._rows()
        while batch := list(islice(rows, batch_size)):
            for row in batch:
                names |= dict.fromkeys(row)
            yield {name: [row.get(name) for row in batch] for name in names}

    def _rows(self) -> Iterator[dict[str, Any]]:
        for number, line in enumerate(lines(self.path), 1):
            try:
                row = json.loads(line) if line.strip() else {}
            except (ValueError, RecursionError) as error:
                raise ConfigError(f"{self.path}, row {number} is not valid JSON ({error})") from error
            if not isinstance(row, dict):
                raise ConfigError(
                    f'{self.path}, row {number} must be a JSON object such as {{"text": "…"}}, one a line; got '
                    f"{line.strip()[:40]}"
                )
            yield row


@dataclass(frozen=True)
class Parquet(File):
    """A parquet file. wanted: the columns to read, if it has them all."""

    wanted: tuple[str, ...]

    def iter(self, batch_size: int) -> Batches:
        try:
            with pq.ParquetFile(self.path) as file:
                wanted = list(self.wanted) if set(self.wanted) <= set(file.schema_arrow.names) else None
                for batch in file.iter_batches(batch_size, columns=wanted):
                    yield batch.to_pydict()
                if not file.metadata.num_rows:
                    yield dict.fromkeys(file.schema_arrow.names, ())
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"{self.path} cannot be read as a parquet file ({reason})") from error


def lines(path: Path) -> Iterator[str]:
    """The lines of a file in UTF-8, with their ends, without a byte-order mark.

    Raises ConfigError for a compressed file, and for a line that is too long, is not UTF-8, or has a NUL character.
    """
    with path.open("rb") as file:
        start = 0
        for number in range(1, 1 << 62):
            line = file.readline(LONGEST_LINE + 1)
            if not line:
                return
            if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise ConfigError(f"{path} is in UTF-16; save it as UTF-8")
            if number == 1 and (packed := next((COMPRESSED[each] for each in COMPRESSED if line.startswith(each)), "")):
                raise ConfigError(f"{path} is compressed with {packed}; unpack it")
            if len(line) > LONGEST_LINE:
                raise ConfigError(f"{path}, line {number} is longer than {LONGEST_LINE:,} bytes; break it into several")
            if b"\0" in line:
                raise ConfigError(
                    f"{path}, line {number} has a NUL character at byte {start + line.index(0)}; remove it"
                )
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise ConfigError(
                    f"{path}, line {number} is not UTF-8 at byte {start + error.start}; save the file as UTF-8"
                ) from error
            yield text.removeprefix("\ufeff") if number == 1 else text
            start += len(line)
