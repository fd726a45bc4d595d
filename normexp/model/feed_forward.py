"""The position-wise feed-forward sub-layer."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from normexp.model.slots import Slots
from normexp.model.variant import Capture, Context, ignore

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class FeedForward(nn.Module):
    """fc2(activation(fc1(x))) (Vaswani et al. 2017).

    Slots: input, hidden (before the activation), before_fc2 (after it), output.
    """

    slots = ("input", "hidden", "before_fc2", "output")

    def __init__(self, width: int, hidden: int, activation: str, dropout: float, inside: dict[str, nn.Module]) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.activation = ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)
        self.inside = Slots(self.slots, inside)

    def forward(self, x: Tensor, context: Context, capture: Capture = ignore) -> Tensor:
        put = self.inside.put
        hidden = capture("hidden", self.activation(put("hidden", self.fc1(put("input", x)))))
        return put("output", self.fc2(put("before_fc2", self.dropout(hidden))))
