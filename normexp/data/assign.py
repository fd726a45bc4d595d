"""Which row goes to which split, so that no text is both trained on and held out."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from normexp.data.clean import Cleaned
from normexp.data.splits import SPLITS
from normexp.errors import ConfigError

Codes = NDArray[np.int8]  # of a row: its place in SPLITS; LEFT_OUT
LEFT_OUT = -1
FEWEST = 10  # different texts, of which one is held out


def assign(tables: Mapping[str, Cleaned], held_out: int) -> dict[str, Codes]:
    """The split of every row of every table.

    Tables that are given stay what they are, except that rows of train whose text also occurs in valid or test are left
    out. A missing split gets a tenth of the different texts of train, `held_out` at most: those with the smallest keys,
    so the choice does not depend on the order of the rows. Rows with equal texts stay together.

    Raises ConfigError if train has too few different texts.
    """
    train = tables["train"]
    codes = {name: np.full(len(table.keys), SPLITS.index(name), dtype=np.int8) for name, table in tables.items()}
    for name in ("valid", "test"):
        if name in tables:
            codes["train"][np.isin(train.keys, tables[name].keys)] = LEFT_OUT
    left = codes["train"] != LEFT_OUT
    texts = np.unique(train.keys[left])
    missing = [name for name in ("valid", "test") if name not in tables]
    if len(texts) < (FEWEST if missing else 1):
        raise ConfigError(
            f"{train.where} must have at least {FEWEST if missing else 1} different texts to train on"
            f"{' and hold out' if missing else ' that are not in valid or test'}; got {len(texts)}"
        )
    size = min(held_out, len(texts) // 10)
    for place, name in reversed(list(enumerate(missing, 1))):  # the last one first; the ones before it overwrite
        codes["train"][left & (train.keys <= texts[place * size - 1])] = SPLITS.index(name)
    if len(train.labels) and missing:
        _return_rare_classes(train, codes["train"])
    return codes


def _return_rare_classes(train: Cleaned, codes: Codes) -> None:
    """Give classes back to train of which every example was cut off from it."""
    lost = np.setdiff1d(train.labels[codes > 0], train.labels[codes == 0])
    codes[(codes > 0) & np.isin(train.keys, train.keys[np.isin(train.labels, lost)])] = 0
