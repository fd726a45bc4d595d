"""A normed and an un-normed stream that share every branch."""

import math
from typing import Any

from torch import Tensor

from normexp.variants import Site, Variant

Streams = tuple[Tensor, Tensor]


class SiameseNorm(Variant):
    """a ← LN(a) + f/√(2l), b ← b + f, f = F(LN(LN(a) + LN(b))); output LN(LN(a) + LN(b))   Li et al. 2026

    a and b both start as the embedding; the three norms of a site have weights of their own. l is the layer from 1 in
    its own stack, the same for all its sub-layers. Probes call b the stream: it is the identity path.
    Written from the authors' ViT code, not checked against the paper; their language model replaces the norm of a
    before attention by a learned gain. A cross-attention, which they do not have, is joined like the others.
    """

    def __init__(self, *shape_and_norm: Any) -> None:
        super().__init__(*shape_and_norm)
        self.post_norm, self.pre_norm, self.final_norm = (self.make_norm(self.shape.width) for _ in range(3))

    def build_site(self, site: Site) -> None:
        site.post_norm, site.pre_norm, site.norm = (self.make_norm(site.width) for _ in range(3))

    def start_stream(self, x: Tensor) -> Streams:
        return x, x

    def join(self, x: Streams, site: Site) -> Streams:
        a, b = site.post_norm(x[0]), x[1]
        f = site.branch(site.norm(a + site.pre_norm(b)))
        return a + f / math.sqrt(2 * site.layer), b + f

    def finish_stream(self, stream: Streams) -> Tensor:
        a, b = stream
        return self.final_norm(self.post_norm(a) + self.pre_norm(b))

    def main_stream(self, stream: Streams) -> Tensor:
        return stream[1]
