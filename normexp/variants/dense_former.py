"""Pre-LN whose layers read a learned weighted sum of the outputs of all layers below."""

import torch
from torch import Tensor, nn

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.pre_ln import PreLN
from normexp.variants.weighted import weighted

Outputs = list[Tensor]  # y₀, the embedding, and the output of every layer so far


class DenseFormer(PreLN):
    """Pre-LN with a depth-weighted average after every layer, which starts as the layer's own output.

    So it starts as pre_ln. It is dlcl_pre without its norms on the outputs, and with another start. Not included:
    averages over every k-th output only, or after every p-th layer only.
    """

    equation = "x ← Σ_{j≤i} a_ij y_j after layer i, a_i = (0, …, 0, 1) at the start; Pre-LN layers, LN of the last mix"
    paper = "pagliardini2024"
    verified = "authors' code; encoder-decoders are our choice"

    def __init__(self, shape: StackShape, make_norm: MakeNorm) -> None:
        super().__init__(shape, make_norm)
        self.mix = nn.Parameter(torch.eye(shape.depth + 1)[1:])  # row i: after layer i + 1

    def start_stream(self, x: Tensor) -> Outputs:
        return [x]

    def mixed(self, outputs: Outputs) -> Tensor:
        """What follows the layers so far reads."""
        if len(outputs) == 1:
            return outputs[0]
        return weighted("k,kbtd->btd", self.mix[len(outputs) - 2, : len(outputs)], torch.stack(outputs))

    def layer(self, stream: Outputs, sites: list[Site]) -> Outputs:
        return [*stream, super().layer(self.mixed(stream), sites)]

    def main_stream(self, stream: Tensor | Outputs) -> Tensor:
        """Inside a layer the stream is one tensor; between layers it is the list."""
        return stream[-1] if isinstance(stream, list) else stream

    def finish_stream(self, stream: Outputs) -> Tensor:
        return self.final_norm(self.mixed(stream))
