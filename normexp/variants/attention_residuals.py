"""Every sub-layer attends over the outputs of all sub-layers below it."""

import torch
from torch import Tensor, nn

from normexp.errors import ConfigError
from normexp.norms.norm import as_weights
from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.final_norm import FinalNorm
from normexp.variants.hyper_connections import read, written


class AttentionResiduals(FinalNorm):
    """Full attention residuals: what a sub-layer reads is a softmax mix of the embedding and of all outputs below.

    V stacks the sources v₀, v₁, … (batch, token, source, width): the embedding and the outputs of sub-layers, not
    running sums. Each sub-layer and the end of the stack have one learned query w, which starts at 0. So every mix
    starts as an average, and the model as pre_ln up to a factor that the next norm removes. The paper's RMSNorm on the
    sources is the run's norm here; a bias of that norm shifts all scores alike and has no effect. Probes see the
    average of the sources, which is what is read at the start.
    """

    equation = "read Σᵢ aᵢvᵢ, a = softmax(wᵀLN(v)), w = 0 at the start; append v ← F(LN(read)); LN of a last mix"
    paper = "kimi2026"
    verified = "public ports (DepthBench), summaries of the paper; cross-attention is our choice"

    def __init__(self, shape: StackShape, make_norm: MakeNorm) -> None:
        super().__init__(shape, make_norm)
        self.block = 1  # outputs per source
        self.source_query = nn.Parameter(torch.zeros(shape.width))
        self.source_norm = as_weights(make_norm(shape.width))

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        if site.index > 1:  # the first has one source only
            site.source_query = nn.Parameter(torch.zeros(site.width))
            site.source_norm = as_weights(self.make_norm(site.width))

    def start_stream(self, x: Tensor) -> Tensor:
        return torch.stack([x], dim=-2)

    def mixed(self, sources: Tensor, owner: nn.Module) -> Tensor:
        """Σ aᵢvᵢ under the query that a site, or the variant itself, owns."""
        scores = torch.matmul(owner.source_norm(sources), owner.source_query)  # type: ignore[operator, arg-type]
        return read(torch.softmax(scores, dim=-1), sources)

    def join(self, x: Tensor, site: Site) -> Tensor:
        f = site.branch(site.norm(self.main_stream(x) if site.index == 1 else self.mixed(x, site)))
        finished, rest = divmod(site.index - 1, self.block)
        if not rest:
            return torch.cat([x, torch.stack([f], dim=-2)], dim=-2)
        last = torch.zeros_like(self.source_query[:1]).repeat(finished + 2)
        last[-1] = 1  # f is added to the last source
        return x + written(last, f)

    def main_stream(self, stream: Tensor) -> Tensor:
        return torch.mean(stream, dim=-2)

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.final_norm(self.mixed(stream, self))


class BlockAttentionResiduals(AttentionResiduals):
    """Attention residuals whose sources are sums over blocks of neighbouring sub-layers, the running sum included.

    blocks: the most blocks that a stack is divided into, of equal numbers of sub-layers but for the last; about 8 in
    the paper. Where a stack has no more sub-layers than that, it is attention_residuals.
    """

    equation = (
        "attention_residuals, but v are sums of outputs over at most 8 blocks of sub-layers, the last one running"
    )
    paper = "kimi2026"
    verified = "public ports (DepthBench), summaries of the paper; cross-attention is our choice"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, blocks: int = 8) -> None:
        super().__init__(shape, make_norm)
        if blocks < 1:
            raise ConfigError(f"variant.blocks must be at least 1; got {blocks}")
        self.block = -(-len(self.sites(1)) * shape.depth // blocks)
