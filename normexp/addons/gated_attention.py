"""A gate on what the heads of attention give, before their outputs are projected."""

import torch
from torch import Tensor, nn

from normexp.addons import AddOn, Site, StackShape
from normexp.model.slots import Tap


class Gate(nn.Module):
    """σ(x W) ⊙ the heads' outputs, x what the attention reads."""

    def __init__(self, width: int, gates: int, read: Tap) -> None:
        super().__init__()
        self.weights = nn.Linear(width, gates, bias=False)
        self.read = (read,)

    def forward(self, heads: Tensor) -> Tensor:
        gate = torch.sigmoid(self.weights(self.read[0].take()))
        return heads * gate.repeat_interleave(heads.shape[-1] // gate.shape[-1], dim=-1)


class GatedAttention(AddOn):
    """A sigmoid gate per token on the output of every head, before the output projection.

    The gate reads what the queries are made from, in cross-attention too. It is drawn as other matrices are and starts
    near one half. It acts after what a variant puts before the output projection. Feed-forwards stay as they are.
    elementwise: a gate per channel, the paper's best; false: one per head.
    """

    equation = "A(x) ← (heads ⊙ σ(xW)) W_out in every attention"
    paper = "qiu2025"
    verified = "authors' code, x-transformers; cross-attention is our choice"

    def __init__(self, shape: StackShape, *, elementwise: bool = True) -> None:
        super().__init__(shape)
        self.elementwise = elementwise

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        if site.kind == "feed_forward":
            return {}
        read = Tap()
        return {
            "input": read,
            "before_out": Gate(site.width, site.width if self.elementwise else site.shape.heads, read),
        }
