"""Weighted sums of streams and outputs, which are never rounded to half precision."""

from functools import reduce

import torch
from torch import Tensor
from torch.overrides import has_torch_function

from normexp.norms.norm import without_autocast


def weighted(equation: str, *tensors: Tensor) -> Tensor:
    """torch.einsum in the widest type of the tensors, float32 at least, under autocast too.

    Autocast would compute it in half precision as it does a matrix product. Then the stream would be rounded at every
    mix, which it is not where streams are added.
    """
    if has_torch_function(tensors):  # symbols, of which `normexp show` makes the graph
        return torch.einsum(equation, *tensors)
    kind = reduce(torch.promote_types, (each.dtype for each in tensors), torch.float32)
    with without_autocast(tensors[0]):
        return torch.einsum(equation, *(each.to(kind) for each in tensors))
