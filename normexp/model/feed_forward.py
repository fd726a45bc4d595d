"""The position-wise feed-forward sub-layer."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from normexp.config.schema import GATED
from normexp.model.slots import Slots
from normexp.model.variant import Capture, Context, ignore

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "swiglu": F.silu}


class FeedForward(nn.Module):
    """fc2(activation(fc1(x))) (Vaswani et al. 2017).

    With activation=swiglu: fc2(silu(gate(x)) ⊙ fc1(x)), a third matrix (Shazeer 2020).
    Slots: input, hidden (before the activation), before_fc2 (after it, and after ⊙), output.
    """

    slots = ("input", "hidden", "before_fc2", "output")

    def __init__(
        self,
        width: int,
        hidden: int,
        activation: str,
        dropout: float,
        inside: dict[str, nn.Module],
        *,
        biases: bool = True,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden, biases)
        self.fc2 = nn.Linear(hidden, width, biases)
        self.gate = nn.Linear(width, hidden, biases) if activation in GATED else None
        self.activation = ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)
        self.inside = Slots(self.slots, inside)

    def forward(self, x: Tensor, context: Context, capture: Capture = ignore) -> Tensor:
        put = self.inside.put
        x = put("input", x)
        if self.gate is None:
            hidden = self.activation(put("hidden", self.fc1(x)))
        else:
            hidden = self.activation(put("hidden", self.gate(x))) * self.fc1(x)
        hidden = capture("hidden", hidden)
        return put("output", self.fc2(put("before_fc2", self.dropout(hidden))))
