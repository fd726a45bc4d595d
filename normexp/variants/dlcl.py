"""Every layer reads a learned mix of all layers below it: dynamic linear combination of layers."""

import torch
from torch import Tensor, nn

from normexp.errors import ConfigError
from normexp.variants import MakeNorm, Site, StackShape, Variant
from normexp.variants.weighted import weighted

Outputs = list[Tensor]  # y₀, the embedding, and the output of every layer so far


class DLCL(Variant):
    """A base class: the stream is the list of outputs, and layer l + 1 reads a weighted sum of them.

    W is lower triangular, scalar and learned; it does not pass through a softmax. It acts on layers; inside a layer the
    sub-layers are joined as usual. The last row of W feeds what follows the stack.
    start: each row of W starts at the average, 1/(l+1), or at ones. Raises ConfigError for any other start.
    """

    equation = "layer l + 1 reads Σ_k W_{l+1,k} y_k"
    paper = "wang2019"
    verified = "authors' code"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, start: str = "average") -> None:
        super().__init__(shape, make_norm)
        ones = torch.tril(torch.ones(shape.depth + 1, shape.depth + 1))
        starts = {"average": ones / ones.sum(dim=1, keepdim=True), "ones": ones}
        if start not in starts:
            raise ConfigError(f"variant.start must be {' or '.join(starts)}; got {start}")
        self.mix = nn.Parameter(starts[start])
        self.norms = nn.ModuleList(make_norm(shape.width) for _ in range(shape.depth))

    def start_stream(self, x: Tensor) -> Outputs:
        return [x]

    def mixed(self, outputs: Outputs) -> Tensor:
        return weighted("k,kbtd->btd", self.mix[len(outputs) - 1, : len(outputs)], torch.stack(outputs))

    def main_stream(self, stream: Tensor | Outputs) -> Tensor:
        """Inside a layer the stream is one tensor; between layers it is the list."""
        return stream[-1] if isinstance(stream, list) else stream


class DLCLPre(DLCL):
    """Pre-LN layers that read a learned sum of all normed outputs below, and a norm on the last sum.

    The embedding enters the sum without a norm, as it does by default in the authors' code. At the start this is not
    pre_ln: the layers read an average of normed outputs.
    """

    equation = "x_{l+1} ← Σ_k W_{l+1,k} LN_k(y_k) before every Pre-LN layer, LN of the last mix"
    paper = "wang2019"
    verified = "authors' code"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, start: str = "average") -> None:
        super().__init__(shape, make_norm, start=start)
        self.final_norm = make_norm(shape.width)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x))

    def layer(self, stream: Outputs, sites: list[Site]) -> Outputs:
        y = super().layer(self.mixed(stream), sites)
        return [*stream, self.norms[len(stream) - 1](y)]

    def finish_stream(self, stream: Outputs) -> Tensor:
        return self.final_norm(self.mixed(stream))


class DLCLPost(DLCL):
    """Post-LN layers that read the norm of a learned sum of all outputs below.

    The first layer reads W_{1,0} y₀ without a norm, as in the authors' code. The norm of the last sum is the output.
    """

    equation = "x_{l+1} ← LN_l(Σ_k W_{l+1,k} y_k) before every Post-LN layer but the first, and at the end"
    paper = "wang2019"
    verified = "authors' code"

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(x + site.branch(x))

    def layer(self, stream: Outputs, sites: list[Site]) -> Outputs:
        return [*stream, super().layer(self.read(stream), sites)]

    def read(self, stream: Outputs) -> Tensor:
        mix = self.mixed(stream)
        return self.norms[len(stream) - 2](mix) if len(stream) > 1 else mix

    def finish_stream(self, stream: Outputs) -> Tensor:
        return self.read(stream)
