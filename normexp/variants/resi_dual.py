"""A Post-LN and a Pre-LN stream side by side, fed by one branch."""

from typing import Any

from torch import Tensor

from normexp.variants import Site, Variant

Streams = tuple[Tensor, Tensor]


class ResiDual(Variant):
    """p ← LN(p + f), q ← q + c f, f = F(p); output p + LN(q)   Xie et al. 2023

    p and q both start as the embedding, q times c. The branches read p, which is what probes call the stream; q
    carries the gradient past the norms.
    scale: c, 1 in the authors' code; smaller values keep a deep q within half precision (how small: not checked
    against the paper). Their last norm has eps 1e-7; ours has the eps of every norm of the run.
    """

    def __init__(self, *shape_and_norm: Any, scale: float = 1.0) -> None:
        super().__init__(*shape_and_norm)
        self.scale = scale
        self.final_norm = self.make_norm(self.shape.width)

    def start_stream(self, x: Tensor) -> Streams:
        return x, self.scale * x

    def join(self, x: Streams, site: Site) -> Streams:
        (p, q), f = x, site.branch(x[0])
        return site.norm(p + f), q + self.scale * f

    def finish_stream(self, stream: Streams) -> Tensor:
        p, q = stream
        return p + self.final_norm(q)

    def main_stream(self, stream: Streams) -> Tensor:
        return stream[0]
