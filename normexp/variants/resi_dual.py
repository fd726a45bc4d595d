"""A Post-LN and a Pre-LN stream that one branch feeds."""

from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.final_norm import FinalNorm

Streams = tuple[Tensor, Tensor]


class ResiDual(FinalNorm):
    """Two streams: a Post-LN stream that the branches read, and a plain sum of all branches.

    p and q both start as the embedding, q times c. Probes call p the stream; q carries the gradient past the norms.
    scale: c, 1 in the authors' code; smaller values keep a deep q within the range of half precision. Their last norm
    has eps 1e-7; ours has the eps of every norm of the run.
    """

    equation = "p ← LN(p + f), q ← q + c f, f = F(p); output p + LN(q)"
    paper = "xie2023"
    verified = "authors' code; how small c is for half precision is not checked"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, scale: float = 1.0) -> None:
        super().__init__(shape, make_norm)
        self.scale = scale

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
