"""Classification of tables: the numeric features of scikit-learn's bundled tables, one token each."""

import numpy as np

from normexp.data.corpus import Corpus
from normexp.data.labelled import labelled, load_bundled
from normexp.data.splits import fingerprint, split_of

TABLES = ("breast_cancer", "digits", "iris", "wine")


def tables(table: str = "breast_cancer", bins: int = 8, seed: int = 0) -> Corpus:
    """The class of a row of numbers: about 80 % train, 10 % valid, 10 % test.

    Good for seeing whether a finding about text carries over to Transformers for tables, on the scale of a laptop. The
    tables are small: breast_cancer has 569 rows of 30 features, digits 1,797 of 64, wine 178 of 13, iris 150 of 4, so a
    test part has 15 to 180 rows. Use several seeds, and read differences of losses rather than of accuracies.

    A token says "feature i, bin j". The bins of a feature have equally many rows of the training part, up to `bins` of
    them; values beyond these belong to the outermost ones. This is the simple version of a feature tokeniser: where
    FT-Transformer multiplies a learned vector by the number, here every bin has a vector of its own, so what is
    between two numbers must be learned. seed: of the order of the rows, nothing else.

    Rows are held out by the sha256 of their values, so equal rows are in the same split. Baselines: the class prior,
    which is also `blind`; the floor is unknown, so it is 0.

    Needs scikit-learn (`pip install 'normexp[tabular]'`). Raises ValueError without it, and for an unknown table or
    fewer than 2 bins.
    """
    if table not in TABLES:
        raise ValueError(f"data.table must be one of {', '.join(TABLES)}; got {table}")
    if bins < 2:
        raise ValueError(f"data.bins must be at least 2; got {bins}")
    bundled = load_bundled(table)
    values = bundled.data
    keys = [tuple(row.tolist()) for row in values]
    order = sorted(range(len(keys)), key=lambda i: fingerprint((seed, keys[i], i)))
    split = [split_of(key) for key in keys]
    train = values[[name == "train" for name in split]]
    tokens: list[str] = []
    columns = []
    for feature in range(values.shape[1]):
        edges = np.unique(np.quantile(train[:, feature], np.arange(1, bins) / bins))
        columns.append(len(tokens) + np.searchsorted(edges, values[:, feature], side="right"))
        tokens += [f"{feature}:{place}" for place in range(len(edges) + 1)]
    indices = np.stack(columns, axis=1)
    return labelled(
        tuple(tokens),
        [indices[i].tolist() for i in order],
        [bundled.target[i] for i in order],
        [split[i] for i in order],
        tuple(map(str, bundled.target_names)),
    )
