"""Hyper-connections whose mixing matrix is kept doubly stochastic."""

import torch
from torch import Tensor, nn

from normexp.norms import Norm
from normexp.norms.norm import as_weights
from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.hyper_connections import StaticHyperConnections

CLOSE = 4.0  # logit of a weight that starts near 1: σ(4) = 0.982


class Sinkhorn(Norm):
    """exp, then columns and rows divided by their sums in turn: nearly doubly stochastic (Sinkhorn & Knopp 1967)."""

    symbol = "Sinkhorn"
    produces_weights = True

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds

    def forward(self, logits: Tensor) -> Tensor:
        for _ in range(self.rounds):  # on logarithms: where exp underflows in a whole row there is no sum to divide by
            logits = logits.log_softmax(dim=-2).log_softmax(dim=-1)
        return logits.exp()


class MHC(StaticHyperConnections):
    """Hyper-connections whose mixing matrix is doubly stochastic and whose reading and writing weights are positive.

    As in hyper_connections, but A H never grows (rows and columns sum to 1), and nothing is read or written with a
    minus sign. The weights depend on all streams of a token at once, without a tanh. Three scales s start at 0.01.
    Sinkhorn runs `rounds` = 20 rounds, columns first, as in the paper; the paper's RMSNorm of vec H is the run's norm
    here. The paper leaves open where the static parts and W start. Ours: W at 0, 2σ(b) = 1, and logits of ±4, which
    bring σ(a) near reading only stream k mod n and Sinkhorn(A) near the identity, so that it starts near pre_ln.
    """

    equation = "H ← Sinkhorn(A) H + 2σ(b) F(LN(σ(a)ᵀH)), A, a, b = static + s LN(vec H) W, LN of the sum"
    paper = "xie2025"
    verified = "paper; the start of the static parts and of W is our choice"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, streams: int = 4, rounds: int = 20) -> None:
        super().__init__(shape, make_norm, streams=streams)
        self.sinkhorn = Sinkhorn(rounds)

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        n, wide = self.streams, self.streams * site.width
        site.read = nn.Parameter(CLOSE * (2 * site.read.detach() - 1))
        site.mix = nn.Parameter(2 * CLOSE * site.mix.detach())
        site.write = nn.Parameter(torch.zeros(n))
        site.stream_norm = as_weights(self.make_norm(wide))
        site.read_of = nn.Parameter(torch.zeros(wide, n))
        site.mix_of = nn.Parameter(torch.zeros(wide, n * n))
        site.write_of = nn.Parameter(torch.zeros(wide, n))
        site.read_scale, site.mix_scale, site.write_scale = (nn.Parameter(torch.tensor(0.01)) for _ in range(3))

    def weights(self, h: Tensor, site: Site) -> tuple[Tensor, Tensor, Tensor]:
        normed, square = site.stream_norm(torch.flatten(h, -2)), (self.streams, self.streams)
        a = site.read_scale * torch.matmul(normed, site.read_of) + site.read
        mix = site.mix_scale * torch.unflatten(torch.matmul(normed, site.mix_of), -1, square) + site.mix
        b = site.write_scale * torch.matmul(normed, site.write_of) + site.write
        return torch.sigmoid(a), torch.transpose(self.sinkhorn(mix), -1, -2), 2 * torch.sigmoid(b)
