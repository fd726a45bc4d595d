"""Pre-LN whose layers read a learned mix of the stream and the embedding."""

import torch
from torch import Tensor, nn

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.pre_ln import PreLN

Streams = tuple[Tensor, Tensor]  # x and the embedding x₀


class X0Lambdas(PreLN):
    """Pre-LN with two learned scalars per layer, one on the stream and one on the embedding that is added again.

    They start on a line from the first layer to the last; the defaults are nanochat's. It began with 1 and 0, which is
    pre_ln at the start. Not included: its norm on the embedding, its smaller learning rate for λ, and what it subtracts
    at the end.
    """

    equation = "x ← λx + μx₀ before every layer, λ from 1.15 to 1.05, μ from 0.2 to 0.05; then Pre-LN, LN at the end"
    paper = "karpathy2025"
    verified = "authors' code (nanochat); encoder-decoders are our choice"

    def __init__(
        self,
        shape: StackShape,
        make_norm: MakeNorm,
        *,
        first_stream: float = 1.15,
        last_stream: float = 1.05,
        first_embedding: float = 0.2,
        last_embedding: float = 0.05,
    ) -> None:
        super().__init__(shape, make_norm)
        self.of_stream = nn.Parameter(torch.linspace(first_stream, last_stream, shape.depth))
        self.of_embedding = nn.Parameter(torch.linspace(first_embedding, last_embedding, shape.depth))

    def start_stream(self, x: Tensor) -> Streams:
        return x, x

    def layer(self, stream: Streams, sites: list[Site]) -> Streams:
        x, embedding = stream
        layer = sites[0].layer - 1
        mix = self.of_stream[layer] * x + self.of_embedding[layer] * embedding
        return super().layer(mix, sites), embedding

    def main_stream(self, stream: Tensor | Streams) -> Tensor:
        """Inside a layer the stream is one tensor."""
        return stream[0] if isinstance(stream, tuple) else stream

    def finish_stream(self, stream: Streams) -> Tensor:
        return self.final_norm(stream[0])
