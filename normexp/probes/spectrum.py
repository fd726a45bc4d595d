"""Eigenvalues and singular values that do not raise on values that are not finite."""

from collections.abc import Callable

import torch
from torch import Tensor


def spectrum(decompose: Callable[[Tensor], Tensor], matrix: Tensor) -> Tensor:
    """eigvalsh or svdvals of a matrix in float64; NaN where the matrix is not finite, which LAPACK rejects."""
    finite = matrix.isfinite().all()
    values = decompose(torch.where(finite, matrix, 0).double())
    return torch.where(finite, values, torch.nan)
