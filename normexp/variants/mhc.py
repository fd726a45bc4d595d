"""Hyper-connections whose mixing matrix is kept doubly stochastic, or is the identity."""

from itertools import permutations
from typing import ClassVar

import torch
from torch import Tensor, nn

from normexp.config.limits import Limit
from normexp.norms import Norm
from normexp.norms.norm import as_weights
from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.hyper_connections import StaticHyperConnections, read, written
from normexp.variants.weighted import weighted

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
    bring σ(a) near reading only stream k mod n and Sinkhorn(A) near the identity, so that it starts near pre_ln. A port
    that says to follow the paper (PaddleFleet) has ±3. `distinct`: see StaticHyperConnections.
    """

    equation = "H ← Sinkhorn(A) H + 2σ(b) F(LN(σ(a)ᵀH)), A, a, b = static + s LN(vec H) W, LN of the sum"
    paper = "xie2025"
    verified = "paper, hyper-connections for the static parts; their start and that of W is our choice"

    def __init__(
        self, shape: StackShape, make_norm: MakeNorm, *, streams: int = 4, rounds: int = 20, distinct: float = 0.0
    ) -> None:
        super().__init__(shape, make_norm, streams=streams, distinct=distinct)
        self.sinkhorn = Sinkhorn(rounds)

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        n, wide = self.streams, self.streams * site.width
        site.read = nn.Parameter(CLOSE * (2 * site.read.detach() - 1))
        site.write = nn.Parameter(torch.zeros(n))
        site.stream_norm = as_weights(self.make_norm(wide))
        site.read_of, site.write_of = (nn.Parameter(torch.zeros(wide, n)) for _ in range(2))
        site.read_scale, site.write_scale = (nn.Parameter(torch.tensor(0.01)) for _ in range(2))
        self.build_mixing(site)

    def build_mixing(self, site: Site) -> None:
        """What the mixing matrix of a site is made from."""
        n = self.streams
        site.mix = nn.Parameter(2 * CLOSE * torch.eye(n))
        site.mix_of = nn.Parameter(torch.zeros(n * site.width, n * n))
        site.mix_scale = nn.Parameter(torch.tensor(0.01))

    def mixing(self, normed: Tensor, site: Site) -> Tensor:
        """H_res, which multiplies H from the left; normed: LN(vec H)."""
        square = (self.streams, self.streams)
        logits = site.mix_scale * torch.unflatten(torch.matmul(normed, site.mix_of), -1, square) + site.mix
        return self.sinkhorn(logits)

    def weights(self, h: Tensor, site: Site) -> tuple[Tensor, Tensor, Tensor]:
        normed = site.stream_norm(torch.flatten(h, -2))
        a, b = self.read_and_write(normed, site)
        return a, torch.transpose(self.mixing(normed, site), -1, -2), b

    def read_and_write(self, normed: Tensor, site: Site) -> tuple[Tensor, Tensor]:
        """a and b at a site."""
        a = site.read_scale * torch.matmul(normed, site.read_of) + site.read
        b = site.write_scale * torch.matmul(normed, site.write_of) + site.write
        return torch.sigmoid(a), 2 * torch.sigmoid(b)


class MHCLite(MHC):
    """mHC whose mixing matrix is a weighted average of all permutations of the streams: exactly doubly stochastic.

    The n! weights c come from a softmax; its logits start at 8 for the identity and at 0 for the others, which is near
    the start of mhc. For 4 streams there are 24, for 6, the most here, 720.
    """

    equation = "mhc with Σ c_k P_k for Sinkhorn(A), P all permutations, c = softmax(static + s LN(vec H) W)"
    paper = "yang2026"
    verified = "public ports (ROCm's aiter), a summary; the start of c and of W is our choice"
    limits: ClassVar[dict[str, Limit]] = {**MHC.limits, "streams": Limit(ge=1, le=6)}
    all_permutations: Tensor

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, streams: int = 4, distinct: float = 0.0) -> None:
        super().__init__(shape, make_norm, streams=streams, distinct=distinct)
        del self.sinkhorn
        every = torch.stack([torch.eye(streams)[list(order)] for order in permutations(range(streams))])
        self.register_buffer("all_permutations", every, persistent=False)  # the identity comes first

    def build_mixing(self, site: Site) -> None:
        count = len(self.all_permutations)
        site.mix = nn.Parameter(2 * CLOSE * torch.eye(count)[0])
        site.mix_of = nn.Parameter(torch.zeros(self.streams * site.width, count))
        site.mix_scale = nn.Parameter(torch.tensor(0.01))

    def mixing(self, normed: Tensor, site: Site) -> Tensor:
        logits = site.mix_scale * torch.matmul(normed, site.mix_of) + site.mix
        return weighted("...k,knm->...nm", torch.softmax(logits, dim=-1), self.all_permutations)


class IdentityHyperConnections(MHC):
    """mHC without mixing: streams differ only by what is written to them. A control for what mixing does."""

    equation = "H ← H + 2σ(b) F(LN(σ(a)ᵀH)), a, b = static + s LN(vec H) W, LN of the sum"
    paper = "hunyuan2026"
    verified = (
        "public ports (marin), hyper-connections for the static parts; reading and writing as in mhc are our choice"
    )

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, streams: int = 4, distinct: float = 0.0) -> None:
        super().__init__(shape, make_norm, streams=streams, distinct=distinct)
        del self.sinkhorn

    def build_mixing(self, site: Site) -> None:
        del site.mix

    def join(self, x: Tensor, site: Site) -> Tensor:
        a, b = self.read_and_write(site.stream_norm(torch.flatten(x, -2)), site)
        site.capture("mixing", torch.eye(self.streams, device=site.read.device))
        return site.capture("streams", x + written(b, site.branch(site.norm(read(a, x)))))
