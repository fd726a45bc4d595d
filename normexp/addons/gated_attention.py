"""A gate on what the heads of attention give, before their outputs are projected."""

import torch
from torch import Tensor, nn

from normexp.addons import AddOn, Site, StackShape


class GateInput(nn.Module):
    """Shows a gate what the attention reads."""

    def __init__(self, gate: "Gate") -> None:
        super().__init__()
        self.gates = (gate,)  # a tuple, so that only one slot owns it

    def forward(self, x: Tensor) -> Tensor:
        self.gates[0].read = x
        return x


class Gate(nn.Module):
    """σ(x W) ⊙ the heads' outputs, x what the attention reads."""

    def __init__(self, width: int, gates: int) -> None:
        super().__init__()
        self.weights = nn.Linear(width, gates, bias=False)
        self.read: Tensor | None = None

    def forward(self, heads: Tensor) -> Tensor:
        x, self.read = self.read, None  # otherwise the last batch and its graph would stay in memory
        gate = torch.sigmoid(self.weights(x))
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
        gate = Gate(site.width, site.width if self.elementwise else site.shape.heads)
        return {"input": GateInput(gate), "before_out": gate}
