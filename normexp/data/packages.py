"""Installed packages as sources of data: where their files are, and their versions. Nothing is imported."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path


def folder_of(package: str, extra: str = "") -> Path:
    """The folder of an installed package.

    extra: of normexp, that installs it. Raises ValueError, naming data.packages and the extra, if it is not there.
    """
    spec = find_spec(package) if package.isidentifier() else None  # a dotted name would import its parent
    if spec is None or not spec.submodule_search_locations:
        how = f"; pip install 'normexp[{extra}]' installs the default ones" if extra else ""
        raise ValueError(f"data.packages must be installed packages; got {package}{how}")
    return Path(next(iter(spec.submodule_search_locations)))


def version_of(package: str) -> str:
    """The version of an installed package by the name that it is imported by; "unknown" if it has none."""
    names = _distributions().get(package, [package])
    try:
        return version(names[0]).partition("+")[0]  # 2.13.0+cpu has the text of 2.13.0
    except PackageNotFoundError:
        return "unknown"


@cache
def _distributions() -> Mapping[str, Sequence[str]]:
    """The distributions of every importable name. Listing them reads a file of every distribution."""
    return packages_distributions()
