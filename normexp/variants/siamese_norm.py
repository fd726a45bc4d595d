"""A normed and an un-normed stream that share every branch."""

import math

from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape, Variant

Streams = tuple[Tensor, Tensor]


class SiameseNorm(Variant):
    """Two streams, one normed at every sub-layer and one never, read together and fed by the same branches.

    a and b both start as the embedding; the three norms of a site have separate weights. l is the layer in its own
    stack, from 1, the same for all its sub-layers. Probes call b the stream: it is the identity path.
    The authors' language model replaces the norm of a before attention by a learned gain. Its code has no
    cross-attention; here one is joined like the other sub-layers.
    """

    equation = "a ← LN(a) + f/√(2l), b ← b + f, f = F(LN(LN(a) + LN(b))); output LN(LN(a) + LN(b))"
    paper = "li2026"
    verified = "authors' ViT code; the paper is not checked, cross-attention is our choice"

    def __init__(self, shape: StackShape, make_norm: MakeNorm) -> None:
        super().__init__(shape, make_norm)
        self.post_norm, self.pre_norm, self.final_norm = (make_norm(shape.width) for _ in range(3))

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
