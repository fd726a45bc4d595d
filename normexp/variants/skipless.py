"""No residual connection around attention: attention itself starts as the identity."""

import math

import torch
from torch import Tensor, nn

from normexp.model.slots import Tap
from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.final_norm import FinalNorm
from normexp.variants.mv_split import TokenMean

LAYERS = 18  # of the authors' stacks


class Shaped(nn.Module):
    """PV → (αI + βP − γC) V, P the softmax, C equal weights on all tokens that P sees.

    α, β and γ are scalars per head, 1 at the start. values: where V passes.   batch, head, token, head width
    """

    def __init__(self, heads: int, causal: bool, values: Tap) -> None:
        super().__init__()
        self.values = (values,)
        self.alpha, self.beta, self.gamma = (nn.Parameter(torch.ones(heads, 1, 1)) for _ in range(3))
        self.token_mean = TokenMean(causal)

    def forward(self, heads: Tensor) -> Tensor:
        value = self.values[0].take()
        return self.alpha * value + self.beta * heads - self.gamma * self.token_mean(value)


class FirstValue(nn.Module):
    """s x + r x W, with s = r = 1 and W = 0 at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, width))
        self.s, self.r = (nn.Parameter(torch.ones(())) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.s * x + self.r * torch.matmul(x, self.weight)


class Skipless(FinalNorm):
    """The simplified block: self-attention without a residual connection, values and output projection.

    Attention gives (αI + βP − γC) of what it reads, head by head, α = β = γ = 1. Query matrices start at 0, so P = C
    and every attention starts as the identity, but under init=torch_default, whose biases are not 0; only the first
    layer has a matrix of values, the identity at the start. The feed-forward keeps its residual connection, with
    scalars: s = 1 and b = 0.1 at the authors' 18 layers. They ask for b ~ 1/√L; that b is 0.1 √(18/L) at other depths
    is our reading. Dropout on attention weights is on P alone. Cross-attention, which cannot start as the identity, is
    that of Pre-LN; the authors have none. The modules on values replace the norm that model.attention_norm=qkv would
    put there. A bias on the logits (model.positions=alibi) and persistent keys make P differ from C at the start.
    start: b at 18 layers.
    """

    equation = "x ← a A(LN(x)), then x ← s x + b FFN(LN(x)); A = αI + βP − γC, which is I at the start; LN at the end"
    paper = ("he2023_simplified", "noci2023")
    verified = "authors' code (decoders); C in an encoder, cross-attention and b at other depths are our choice"
    needs_feed_forward = True

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, start: float = 0.1) -> None:
        super().__init__(shape, make_norm)
        self.start = start

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        if site.kind != "attention":
            return {}
        values = Tap()
        return {"value": values, "heads": Shaped(site.shape.heads, site.shape.stack == "decoder", values)}

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        if site.kind == "attention":
            site.sublayer.value = FirstValue(site.width) if site.layer == 1 else nn.Identity()
            site.sublayer.out = nn.Identity()
            site.a = nn.Parameter(torch.ones(()))
        elif site.kind == "feed_forward":
            site.s = nn.Parameter(torch.ones(()))
            site.b = nn.Parameter(torch.tensor(self.start * math.sqrt(LAYERS / site.shape.depth)))

    def init_scale(self, site: Site | None, role: str) -> float:
        return 0.0 if site is not None and site.kind == "attention" and role == "query" else 1.0

    def join(self, x: Tensor, site: Site) -> Tensor:
        f = site.branch(site.norm(x))
        if site.kind == "attention":
            return site.a * f
        return x + f if site.kind == "cross_attention" else site.s * x + site.b * f
