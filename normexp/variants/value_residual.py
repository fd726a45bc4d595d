"""Pre-LN whose attentions share the values of the first layer."""

from torch import Tensor, nn

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.pre_ln import PreLN

Values = dict[str, Tensor]  # of the first layer in the current forward, by kind of attention


class FirstValue(nn.Module):
    """Keeps the values of the first layer for the others."""

    def __init__(self, values: Values, kind: str) -> None:
        super().__init__()
        self.values, self.kind = values, kind

    def forward(self, value: Tensor) -> Tensor:
        self.values[self.kind] = value
        return value


class MixedValue(FirstValue):
    """share · V₁ + (1 − share) · V."""

    def __init__(self, values: Values, kind: str, share: float) -> None:
        super().__init__(values, kind)
        self.share = share

    def forward(self, value: Tensor) -> Tensor:
        return self.share * self.values[self.kind] + (1 - self.share) * value


class ValueResidual(PreLN):
    """ResFormer: from the second layer on, the values of attention are averaged with those of the first layer.

    In a decoder that reads an encoder, cross-attention shares the values of the first cross-attention. These modules
    replace the norm that model.attention_norm=qkv would put on values.
    share: the weight of the first layer's values.
    """

    equation = "x ← x + F(LN(x)), in layer l > 1 with sV₁ + (1 − s)V_l as the values of attention, s = ½; LN at the end"
    paper = "zhou2024"
    verified = "authors' code, x-transformers; cross-attention as in x-transformers"
    separate_layers = False

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, share: float = 0.5) -> None:
        super().__init__(shape, make_norm)
        self.share = share
        self.values: Values = {}

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        if site.kind == "feed_forward":
            return {}
        if site.layer == 1:
            return {"value": FirstValue(self.values, site.kind)}
        return {"value": MixedValue(self.values, site.kind, self.share)}

    def finish_stream(self, stream: Tensor) -> Tensor:
        self.values.clear()  # otherwise the last batch and its graph would stay in memory
        return super().finish_stream(stream)
