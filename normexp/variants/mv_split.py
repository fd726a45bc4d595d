"""Post-LN that adds the mean over the tokens and the rest of a branch with gates of their own."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from normexp.norms import Norm
from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.post_ln import PostLN


class TokenMean(Norm):
    """The mean over the real tokens of a text; in a causal stack, over a token and those before it.

    batch, …, token, width. A Norm, so that it gets the mask and so that probes hold it to be the linear map that it is.
    """

    symbol = "mean"

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        if self.causal:  # padding is at the end
            count = torch.arange(1, x.shape[-2] + 1, device=x.device, dtype=x.dtype)
            return x.cumsum(dim=-2) / count[:, None]
        if self.mask is None:
            return x.mean(dim=-2, keepdim=True).expand_as(x)
        real = self.mask.view(len(x), *(1,) * (x.dim() - 3), -1, 1).to(x.dtype)
        return ((x * real).sum(dim=-2, keepdim=True) / real.sum(dim=-2, keepdim=True)).expand_as(x)

    def linearised_at(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        return self.forward


class MVSplit(PostLN):
    """Post-LN whose branches reach the stream as mean and rest: the rest times b, the mean in exchange for a share a.

    Bars are means over the tokens, so that a = 0 keeps the mean of the stream: it cannot collapse to what all tokens
    have in common. a and b are learned, one per channel. Proposed for encoders, where a norm precedes the first layer
    too; in a decoder, whose tokens must not see later ones, a mean runs over a token and those before it.
    mean, rest: where a and b start.
    """

    equation = "x ← LN(x + b ⊙ (f − f̄) + a ⊙ (f̄ − x̄)), f = F(x), a = 0 and b = 0.03 at the start, LN before the first"
    paper = "lu2026"
    verified = "authors' code, x-transformers for the sum; decoders are our choice"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, mean: float = 0.0, rest: float = 0.03) -> None:
        super().__init__(shape, make_norm)
        self.starts = mean, rest
        self.first_norm = make_norm(shape.width)
        self.token_mean = TokenMean(causal=shape.stack == "decoder")

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        site.of_mean, site.of_rest = (nn.Parameter(torch.full((site.width,), start)) for start in self.starts)

    def start_stream(self, x: Tensor) -> Tensor:
        return self.first_norm(x)

    def join(self, x: Tensor, site: Site) -> Tensor:
        f = site.branch(x)
        mean = self.token_mean(f)
        return site.norm(x + site.of_rest * (f - mean) + site.of_mean * (mean - self.token_mean(x)))
