"""Variants that are made of others."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from normexp.variants import Site, Variant


class Mixed(Variant, ABC):
    """A base class: every site is built, scaled and joined by the variant that `at` returns for it.

    What a variant does to the whole stack (its ends, calibration, a step's begin) is this class's own.
    """

    @abstractmethod
    def at(self, site: Site) -> Variant: ...

    def build_site(self, site: Site) -> None:
        self.at(site).build_site(site)

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        return self.at(site).branch_modules(site)

    def init_scale(self, site: Site | None, role: str) -> float:
        return self.at(site).init_scale(site, role) if site else super().init_scale(site, role)

    def constrained(self, weight: Tensor, site: Site | None, role: str) -> Tensor:
        return self.at(site).constrained(weight, site, role) if site else super().constrained(weight, site, role)

    def join(self, x: Any, site: Site) -> Any:
        return self.at(site).join(x, site)
