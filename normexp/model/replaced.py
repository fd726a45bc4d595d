"""Methods of a module, replaced for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def replaced(module: nn.Module, **methods: Callable[..., Any]) -> Iterator[None]:
    """Inside the context the module calls these functions instead of its class's methods of the same names.

    The functions are called without `self`. Contexts over one module and method must not be nested.
    """
    for name, method in methods.items():
        setattr(module, name, method)
    try:
        yield
    finally:
        for name in methods:
            delattr(module, name)
