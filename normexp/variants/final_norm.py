"""The norm after the last layer that several variants share."""

from typing import Any

from torch import Tensor, nn

from normexp.variants import MakeNorm, StackShape, Variant


class FinalNorm(Variant):
    """A base class: one more norm after the last layer of each stack."""

    final_norm: nn.Module

    def __init__(self, shape: StackShape, make_norm: MakeNorm) -> None:
        super().__init__(shape, make_norm)
        self.final_norm = make_norm(shape.width)

    def finish_stream(self, stream: Any) -> Tensor:
        return self.final_norm(stream)
