"""Examples as arrays are the lists that they were made from."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normexp.data.examples import Example, Examples, Ragged

rows = st.lists(st.lists(st.integers(0, 60_000), max_size=9), min_size=1, max_size=20)
EXAMPLES = [Example([5, 2], [6, 7, 2]), Example([4, 4, 2], [2]), Example([2], [8, 2])]


@given(rows)
def test_rows_survive(rows):
    ragged = Ragged.of(rows)
    assert [ragged[i] for i in range(len(ragged))] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.flat.tolist() == [i for row in rows for i in row]


@given(rows, st.integers(1, 3))
def test_column_of_any_width_and_in_pieces_is_read(rows, pieces):
    for kind in (pa.list_(pa.uint16()), pa.large_list(pa.int64())):
        column = pa.chunked_array([pa.array(rows[i::pieces], kind) for i in range(pieces)])
        ragged = Ragged.of_column(column)
        assert [ragged[i] for i in range(len(ragged))] == column.to_pylist()


@given(rows, st.lists(st.integers(0, 19), min_size=1, max_size=9), st.sampled_from([(), (1,)]))
def test_padded_rows(rows, wanted, before):
    wanted = [i % len(rows) for i in wanted]
    width = max(len(rows[i]) for i in wanted)
    found = Ragged.of(rows).padded(np.array(wanted), -1, before)
    for line, i in zip(found.tolist(), wanted, strict=True):
        shifted = [*before, *rows[i]][: len(rows[i])] or list(before)[:width]
        assert line == shifted + [-1] * (width - len(shifted))


def test_nothing_is_copied_from_a_column_in_one_piece():
    column = pa.chunked_array([pa.array([[1, 2], [3]], pa.large_list(pa.uint16()))])
    address = column.chunk(0).values.buffers()[1].address
    assert Ragged.of_column(column).values.ctypes.data == address


def test_a_sample_is_spread_over_all_rows():
    ragged = Ragged.of([[i] for i in range(1000)])
    assert ragged.sample(10_000) is ragged
    taken = ragged.sample(100).flat
    assert len(taken) == 100
    assert (taken[0], taken[-1]) == (0, 999)
    assert max(np.diff(taken)) <= 11


@pytest.mark.parametrize(
    "examples", [EXAMPLES, [Example([5, 2], 1), Example([2], 0)], [Example([], [4]), Example([], [5, 6])]]
)
def test_examples_read_like_a_list(examples):
    stored = Examples.of(examples)
    assert list(stored) == examples
    assert list(stored[:2]) == examples[:2]
    assert stored[-1] == examples[-1]
    assert len(stored) == len(examples)
    with pytest.raises(IndexError):
        stored[len(examples)]
