"""Variants that are made of others."""

from abc import ABC, abstractmethod
from typing import Any

from torch import nn

from normexp.variants import Site, Variant


class Mixed(Variant, ABC):
    """A base class: every site is joined by the variant that `at` returns for it."""

    @abstractmethod
    def at(self, site: Site) -> Variant: ...

    def build_site(self, site: Site) -> None:
        self.at(site).build_site(site)

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        return self.at(site).branch_modules(site)

    def join(self, x: Any, site: Site) -> Any:
        return self.at(site).join(x, site)
