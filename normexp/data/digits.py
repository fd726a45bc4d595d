"""Classification of images: scikit-learn's handwritten digits, 8 by 8 pixels, one pixel or one patch per token."""

from itertools import product

import numpy as np

from normexp.data.corpus import Corpus
from normexp.data.labelled import labelled, load_bundled
from normexp.data.splits import fingerprint, split_of

SIDE, PATCH = 8, 2  # pixels
GREYS = 17  # an image has values from 0 to 16


def digits(patches: bool = False, levels: int | None = None, seed: int = 0) -> Corpus:
    """Which digit an image shows: 1,797 images, about 80 % train, 10 % valid, 10 % test.

    Good for classification of something other than text, whose tokens mean little one by one: 64 pixels, row by row, or
    with `patches` 16 squares of 2 by 2. Small: one image of the test part is half a point of accuracy.

    levels: of grey that are distinguished, equally wide, 17 at most. By default 17 for pixels, and 4 for patches, which
    makes a vocabulary of 4⁴ = 256 patches. seed: of the order of the images, nothing else.

    Images are held out by the sha256 of their pixels; all are different. Baselines: the class prior, which is also
    `blind`; the floor is unknown, so it is 0. Accuracy on test of the nearest training image: 98 %.

    Needs scikit-learn (`pip install 'normexp[tabular]'`). Raises ValueError without it, and for levels out of range.
    """
    count = levels if levels is not None else 4 if patches else GREYS
    if not 2 <= count <= GREYS:
        raise ValueError(f"data.levels must be between 2 and {GREYS}; got {levels}")
    bundled = load_bundled("digits")
    images = bundled.images.astype(int)
    keys = [tuple(image.ravel().tolist()) for image in images]
    order = sorted(range(len(keys)), key=lambda i: fingerprint((seed, keys[i])))
    greys = images * count // GREYS
    if patches:
        squares = greys.reshape(-1, SIDE // PATCH, PATCH, SIDE // PATCH, PATCH).swapaxes(2, 3)
        weights = count ** np.arange(PATCH * PATCH)[::-1]
        indices = (squares.reshape(len(images), -1, PATCH * PATCH) * weights).sum(-1)
        tokens = tuple("-".join(map(str, greys)) for greys in product(range(count), repeat=PATCH * PATCH))
    else:
        indices = greys.reshape(len(images), -1)
        tokens = tuple(map(str, range(count)))
    return labelled(
        tokens,
        [indices[i].tolist() for i in order],
        [bundled.target[i] for i in order],
        [split_of(keys[i]) for i in order],
        tuple(map(str, bundled.target_names)),
    )
