"""Several copies of the stream with learned weights for reading, mixing and writing."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from normexp.config.limits import Limit
from normexp.norms.norm import as_weights
from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.pre_ln import PreLN
from normexp.variants.weighted import weighted


def read(a: Tensor, h: Tensor) -> Tensor:
    """aᵀH: what a branch reads."""
    return weighted("...n,...nd->...d", a, h)


def mixed(mix: Tensor, h: Tensor) -> Tensor:
    """AᵀH: the streams after mixing."""
    return weighted("...nm,...nd->...md", mix, h)


def written(b: Tensor, f: Tensor) -> Tensor:
    """b fᵀ: a branch's output for every stream."""
    return weighted("...n,...d->...nd", b, f)


def patterns(streams: int, width: int) -> Tensor:
    """Cosines of rising frequency, one per stream, orthogonal and with a mean square of 1.   stream, width"""
    frequency = torch.arange(1, streams + 1)[:, None]
    place = torch.arange(width)[None, :] + 0.5
    return 2**0.5 * torch.cos(torch.pi * frequency * place / width)


class StaticHyperConnections(PreLN):
    """n streams that each sub-layer reads, mixes and writes with learned weights, the same for all tokens.

    H stacks the n streams, each of them the embedding at first (batch, token, stream, width). A starts as the identity,
    b as ones, and a reads only stream k mod n, with k the site from 0. So it equals pre_ln at the start, up to a factor
    n that the last norm removes. Probes see the sum of the streams, which is what the end reads.
    streams: n, 4 in most of the paper's runs. The paper also scales the output matrices by √n at the start. That is not
    included: it would end the equality with pre_ln.
    distinct: how far the streams start apart. Equal streams are a symmetry, which training may break by using one of
    them alone (Alimaskina et al. 2026). Above 0, stream i starts as sᵢ ⊙ x with learned scales that begin at
    1 + distinct · √2 cos(πi(k + ½)/width) for entry k; i from 1, k from 0. Summaries of that paper say "near the
    identity, with n · width parameters"; the pattern is our choice.
    """

    equation = "H ← AᵀH + b F(LN(aᵀH)), LN of H's sum at the end"
    paper = "zhu2024"
    verified = "a public port (lucidrains); the direction of the paper's √n on output matrices is not checked"

    limits: ClassVar[dict[str, Limit]] = {"distinct": Limit(ge=0, le=1)}

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, streams: int = 4, distinct: float = 0.0) -> None:
        super().__init__(shape, make_norm)
        self.streams = streams
        self.stream_scales = nn.Parameter(1 + distinct * patterns(streams, shape.width)) if distinct else None

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        identity = torch.eye(self.streams)
        site.read = nn.Parameter(identity[(site.index - 1) % self.streams].clone())  # a
        site.mix = nn.Parameter(identity)  # A
        site.write = nn.Parameter(torch.ones(self.streams))  # b

    def weights(self, h: Tensor, site: Site) -> tuple[Tensor, Tensor, Tensor]:
        """a, A and b at a site."""
        return site.read, site.mix, site.write

    def start_stream(self, x: Tensor) -> Tensor:
        streams = torch.stack([x] * self.streams, dim=-2)
        return streams if self.stream_scales is None else self.stream_scales * streams

    def join(self, x: Tensor, site: Site) -> Tensor:
        a, mix, b = self.weights(x, site)
        site.capture("mixing", mix)
        return site.capture("streams", mixed(mix, x) + written(b, site.branch(site.norm(read(a, x)))))

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.final_norm(self.main_stream(stream))

    def main_stream(self, stream: Tensor) -> Tensor:
        return torch.sum(stream, dim=-2)


class HyperConnections(StaticHyperConnections):
    """Hyper-connections whose weights also depend on the token: its H adds to the static weights.

    W starts at 0 and s at 0.01, one s for a and A and one for b; so it equals pre_ln at the start too. Static form and
    `streams`: see StaticHyperConnections.
    """

    equation = "H ← AᵀH + b F(LN(aᵀH)), A, a, b = static + s tanh(LN(H) W), LN of H's sum at the end"
    paper = "zhu2024"
    verified = "hyper-connections; the direction of the paper's √n on output matrices is not checked"

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        site.stream_norm = as_weights(self.make_norm(site.width))
        site.read_of = nn.Parameter(torch.zeros(site.width))
        site.mix_of = nn.Parameter(torch.zeros(site.width, self.streams))
        site.write_of = nn.Parameter(torch.zeros(site.width))
        site.read_scale = nn.Parameter(torch.tensor(0.01))
        site.write_scale = nn.Parameter(torch.tensor(0.01))

    def weights(self, h: Tensor, site: Site) -> tuple[Tensor, Tensor, Tensor]:
        normed = site.stream_norm(h)
        return (
            site.read_scale * torch.tanh(torch.matmul(normed, site.read_of)) + site.read,
            site.read_scale * torch.tanh(torch.matmul(normed, site.mix_of)) + site.mix,
            site.write_scale * torch.tanh(torch.matmul(normed, site.write_of)) + site.write,
        )
