"""A prepared split on disk: ids and offsets as plain arrays, texts as Arrow batches; written in pieces, read mapped."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import datasets
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

OFFSETS = np.dtype("<i8")
CLASSES = np.dtype("<i4")


class SplitWriter:
    """Writes the examples of a split to files `FOLDER/SPLIT.*`.

    sides: source and target, those that are texts. texts: names of the columns for people.
    vocabulary: how many tokens there are, which sets the width of an id.
    """

    def __init__(self, folder: Path, split: str, sides: Sequence[str], texts: Sequence[str], vocabulary: int) -> None:
        self.sides, self.texts = tuple(sides), tuple(texts)
        self.width = width_of(vocabulary)
        self.rows, self.ends, self.most = 0, dict.fromkeys(sides, 0), dict.fromkeys(sides, 0)
        names = [f"{side}.{part}" for side in sides for part in ("ids", "offsets")]
        names += [] if "target" in sides else ["target.classes"]
        self.paths = {name: folder / f"{split}.{name}" for name in [*names, "texts"]}
        self._files: dict[str, BinaryIO] = {name: self.paths[name].open("wb") for name in names}
        self._hashes = {name: hashlib.sha256() for name in names}
        self._schema = pa.schema([(name, pa.large_string()) for name in texts])
        self._sink = pa.OSFile(str(self.paths["texts"]), "wb")
        self._stream = pa.ipc.new_stream(self._sink, self._schema)
        for side in sides:
            self._write(f"{side}.offsets", np.zeros(1, dtype=OFFSETS))

    def add(
        self,
        ids: Mapping[str, Sequence[Sequence[int]]],
        texts: Mapping[str, Sequence[str]],
        classes: NDArray[np.int32] | None = None,
    ) -> None:
        """Append rows: the ids of each side, the columns for people, and the classes, if these are the targets."""
        for side, rows in ids.items():
            flat = np.fromiter((i for row in rows for i in row), dtype=self.width)
            lengths = np.array([len(row) for row in rows], dtype=OFFSETS)
            self._write(f"{side}.ids", flat)
            self._write(f"{side}.offsets", self.ends[side] + np.cumsum(lengths))
            self.ends[side] += len(flat)
            self.most[side] = max(self.most[side], int(lengths.max(initial=0)))
        if classes is not None:
            self._write("target.classes", classes.astype(CLASSES))
        columns = [list(texts[name]) for name in self.texts]
        self._stream.write_batch(pa.record_batch(columns, schema=self._schema))
        self.rows += len(columns[0])

    def _write(self, name: str, array: NDArray[np.generic]) -> None:
        data = array.tobytes()
        self._files[name].write(data)
        self._hashes[name].update(data)

    @property
    def digest(self) -> str:
        """sha256 of all ids, lengths and classes."""
        found = {name: each.hexdigest() for name, each in self._hashes.items()}
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()

    def __enter__(self) -> "SplitWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Close everything; after an error, whatever closing raises does not hide it."""
        for each in (self._stream, self._sink, *self._files.values()):
            try:
                each.close()
            except OSError:
                if error is None:
                    raise


def width_of(vocabulary: int) -> np.dtype[np.generic]:
    """The type of an id."""
    return np.dtype("<u2" if vocabulary <= 1 << 16 else "<u4")


def read_split(folder: Path, split: str, vocabulary: int, digest: str) -> datasets.Dataset:
    """A split as `SplitWriter` wrote it; its files are mapped, so only what is used is in memory.

    vocabulary: how many tokens there are. digest: of the split.
    """
    with pa.memory_map(str(folder / f"{split}.texts")) as source:
        table = pa.ipc.open_stream(source).read_all()
    for side in ("source", "target"):
        if (ids := folder / f"{split}.{side}.ids").is_file():
            parts = (
                pa.array(_mapped(ids.with_suffix(".offsets"), OFFSETS)),
                pa.array(_mapped(ids, width_of(vocabulary))),
            )
            table = table.append_column(side, pa.LargeListArray.from_arrays(*parts))
    if (classes := folder / f"{split}.target.classes").is_file():
        table = table.append_column("target", pa.array(_mapped(classes, CLASSES)))
    # Without a fingerprint, `datasets` would hash the whole table.
    return datasets.Dataset(table, split=datasets.NamedSplit(split), fingerprint=digest[:16])


def _mapped(path: Path, kind: np.dtype[np.generic]) -> NDArray[np.generic]:
    return np.memmap(path, dtype=kind, mode="r") if path.stat().st_size else np.zeros(0, dtype=kind)
