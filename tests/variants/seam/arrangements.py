"""Five arrangements that stretch the seam, written as a user would: none of them may need an `if` in the model."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from normexp.variants import Site, Variant


class B2T(Variant):
    """x ← LN(x_layer + h + FFN(h)) after the usual Post-LN attention   Takase et al. 2022"""

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(x + site.branch(x))

    def layer(self, stream: Tensor, sites: list[Site]) -> Tensor:
        *attentions, last = sites
        h = super().layer(stream, attentions)
        return last.norm(stream + h + last.branch(h))


class Parallel(Variant):
    """x ← x + A(LN(x)) + C(LN(x)) + FFN(LN(x)), LN at the end   Wang & Komatsuzaki 2021"""

    def __init__(self, *shape_and_norm: Any) -> None:
        super().__init__(*shape_and_norm)
        self.final_norm = self.make_norm(self.shape.width)

    def build_site(self, site: Site) -> None:
        if site.kind == "attention":  # one norm per layer, shared by its branches
            super().build_site(site)

    def layer(self, stream: Tensor, sites: list[Site]) -> Tensor:
        normed = sites[0].norm(stream)
        return sum((site.branch(normed) for site in sites), start=stream)

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.final_norm(stream)


class DLCL(Variant):
    """x_{l+1} ← Σ_k W_{l+1,k} LN_k(y_k), a Pre-LN layer on it; the same mix and LN at the end   Wang et al. 2019"""

    def __init__(self, *shape_and_norm: Any) -> None:
        super().__init__(*shape_and_norm)
        depth = self.shape.depth
        rows = torch.tril(torch.ones(depth + 1, depth + 1))
        self.mix = nn.Parameter(rows / rows.sum(dim=1, keepdim=True))
        self.output_norms = nn.ModuleList(self.make_norm(self.shape.width) for _ in range(depth))
        self.final_norm = self.make_norm(self.shape.width)

    def start_stream(self, x: Tensor) -> list[Tensor]:
        return [x]

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x))

    def layer(self, stream: list[Tensor], sites: list[Site]) -> list[Tensor]:
        y = self.mixed(stream)
        for site in sites:
            y = self.join(y, site)
        return [*stream, self.output_norms[len(stream) - 1](y)]

    def finish_stream(self, stream: list[Tensor]) -> Tensor:
        return self.final_norm(self.mixed(stream))

    def main_stream(self, stream: list[Tensor]) -> Tensor:
        return stream[-1]

    def mixed(self, stream: list[Tensor]) -> Tensor:
        weights = self.mix[len(stream) - 1, : len(stream)]
        return torch.einsum("k,kbtd->btd", weights, torch.stack(stream))


class SubLN(Variant):
    """x ← x + F(LN(x)), LN before the output projection and before fc2, LN at the end   Wang et al. 2022"""

    def __init__(self, *shape_and_norm: Any) -> None:
        super().__init__(*shape_and_norm)
        self.final_norm = self.make_norm(self.shape.width)

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        if site.kind == "feed_forward":
            return {"before_fc2": self.make_norm(self.shape.feed_forward)}
        return {"before_out": self.make_norm(site.width)} if site.kind == "attention" else {}

    def init_scale(self, site: Site | None, role: str) -> float:
        scaled = site is not None and site.kind != "cross_attention" and role in ("value", "out", "fc1", "fc2")
        return math.sqrt(math.log(3 * self.shape.depth)) if scaled else 1.0

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x))

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.final_norm(stream)


class Admin(Variant):
    """x ← LN(ω ⊙ x + F(x)), ω profiled on one batch   Liu et al. 2020"""

    variance: Tensor  # of the stream so far, while profiling

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        site.omega = nn.Parameter(torch.ones(site.width))

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(site.omega * x + site.branch(x))

    def profile(self, x: Tensor, site: Site) -> Tensor:
        site.omega.data.fill_(self.variance.sqrt())
        scaled, branch = site.omega * x, site.branch(x)
        self.variance = scaled.var() + branch.var()
        return site.norm(scaled + branch)

    def calibrate(self, forward: Callable[[], Any]) -> None:
        self.variance = torch.ones(())
        self.join = self.profile  # type: ignore[method-assign]
        forward()
        del self.join, self.variance
