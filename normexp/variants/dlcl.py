"""Every layer reads a learned mix of all layers below it: dynamic linear combination of layers."""

from typing import Any

import torch
from torch import Tensor, nn

from normexp.errors import ConfigError
from normexp.variants import Site, Variant

Outputs = list[Tensor]  # y₀, the embedding, and every layer's output so far


class DLCL(Variant):
    """layer l + 1 reads Σ_k W_{l+1,k} y_k   Wang et al. 2019

    The stream is the list of outputs. W is lower triangular, scalar, learned, not passed through a softmax. It acts on
    layers; inside a layer the sub-layers are joined as usual. The last row of W feeds what follows the stack.
    start: a row of W starts at the average, 1/(l+1), or at ones.
    """

    def __init__(self, *shape_and_norm: Any, start: str = "average") -> None:
        super().__init__(*shape_and_norm)
        ones = torch.tril(torch.ones(self.shape.depth + 1, self.shape.depth + 1))
        starts = {"average": ones / ones.sum(dim=1, keepdim=True), "ones": ones}
        if start not in starts:
            raise ConfigError(f"variant.start={start}: {' or '.join(starts)} is right")
        self.mix = nn.Parameter(starts[start])
        self.norms = nn.ModuleList(self.make_norm(self.shape.width) for _ in range(self.shape.depth))

    def start_stream(self, x: Tensor) -> Outputs:
        return [x]

    def mixed(self, outputs: Outputs) -> Tensor:
        return torch.einsum("k,kbtd->btd", self.mix[len(outputs) - 1, : len(outputs)], torch.stack(outputs))

    def main_stream(self, stream: Tensor | Outputs) -> Tensor:
        """Inside a layer the stream is one tensor; between layers, the list."""
        return stream[-1] if isinstance(stream, list) else stream


class DLCLPre(DLCL):
    """x_{l+1} ← Σ_k W_{l+1,k} LN_k(y_k) before every Pre-LN layer, LN of the last mix   Wang et al. 2019

    The embedding is mixed without a norm, as by default in the authors' code. At the start this is not pre_ln: the
    layers read an average of normed outputs.
    """

    def __init__(self, *shape_and_norm: Any, start: str = "average") -> None:
        super().__init__(*shape_and_norm, start=start)
        self.final_norm = self.make_norm(self.shape.width)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x))

    def layer(self, stream: Outputs, sites: list[Site]) -> Outputs:
        y = super().layer(self.mixed(stream), sites)
        return [*stream, self.norms[len(stream) - 1](y)]

    def finish_stream(self, stream: Outputs) -> Tensor:
        return self.final_norm(self.mixed(stream))


class DLCLPost(DLCL):
    """x_{l+1} ← LN_l(Σ_k W_{l+1,k} y_k) before every Post-LN layer but the first, and at the end   Wang et al. 2019

    The first layer reads W_{1,0} y₀ without a norm, as in the authors' code. The norm of the last mix closes the stack.
    """

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(x + site.branch(x))

    def layer(self, stream: Outputs, sites: list[Site]) -> Outputs:
        return [*stream, super().layer(self.read(stream), sites)]

    def read(self, stream: Outputs) -> Tensor:
        mix = self.mixed(stream)
        return self.norms[len(stream) - 2](mix) if len(stream) > 1 else mix

    def finish_stream(self, stream: Outputs) -> Tensor:
        return self.read(stream)
