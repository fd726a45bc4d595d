"""Initialisations: how weights start, drawn per parameter name.

The draw of a matrix depends only on the seed and on the matrix's name. So two variants start from the same weights
wherever their parameters have the same names, and no two layers start alike. Word and learned position vectors are
drawn from N(0, 1/width) under every init; the models scale words by √width. Norms and the scalars of a variant start
as their classes define. Persistent keys and values (see Attention) are drawn alike under every init, and no variant
scales them.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from normexp.config.limits import Limit


def fold_in(seed: int, *words: object) -> int:
    """A separate seed for each purpose: the same words give the same number on every machine."""
    text = "/".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Init(ABC):
    """How a matrix and its bias start.

    matrix(out, in) and bias(out, in) are drawn from the given generator in torch's default dtype. At a site the matrix
    is then scaled by factor(…), which depends on its place, and by the variant (Variant.init_scale).
    paper: keys of normexp.papers, "" for none.
    """

    paper: str | tuple[str, ...] = ""

    @abstractmethod
    def matrix(self, rows: int, columns: int, generator: torch.Generator) -> Tensor: ...

    def bias(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        return torch.zeros(rows)

    def factor(self, site: Any, role: str, sites: int) -> float:
        """Factor on the matrix that plays `role` (see Variant.init_scale) at a site of a stack of `sites`."""
        return 1.0


class XavierUniform(Init):
    """U(−a, a), a = gain · √(6 / (in + out)), biases 0; q, k and v as three matrices (Glorot & Bengio 2010)."""

    paper = "glorot2010"

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def matrix(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        bound = self.gain * math.sqrt(6 / (rows + columns))
        return torch.empty(rows, columns).uniform_(-bound, bound, generator=generator)


class XavierNormal(Init):
    """N(0, gain² · 2 / (in + out)), biases 0; q, k and v as three matrices (Glorot & Bengio 2010)."""

    paper = "glorot2010"

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def matrix(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        std = self.gain * math.sqrt(2 / (rows + columns))
        return torch.empty(rows, columns).normal_(0, std, generator=generator)


class UniformAttention(XavierNormal):
    """Xavier normal, but query and key 0: every token attends equally to all (Xiong et al. 2020, section 3.3).

    With one head and a feed-forward as wide as the stream this is the simplified setting of the paper's lemmas. The
    lemmas have no output projection; ours keeps the size of vectors.
    """

    paper = "xiong2020"

    def __init__(self) -> None:
        super().__init__()

    def factor(self, site: Any, role: str, sites: int) -> float:
        return 0.0 if role in ("query", "key") else 1.0


class TorchDefault(Init):
    """U(−1/√in, 1/√in) for matrices and biases, the default of torch.nn.Linear."""

    def matrix(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        bound = 1 / math.sqrt(columns)
        return torch.empty(rows, columns).uniform_(-bound, bound, generator=generator)

    def bias(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        bound = 1 / math.sqrt(columns)
        return torch.empty(rows).uniform_(-bound, bound, generator=generator)


class Normal(Init):
    """N(0, std²), biases 0 (Devlin et al. 2018 with std 0.02)."""

    paper = "devlin2018"

    def __init__(self, std: float = 0.02) -> None:
        self.std = std

    def matrix(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        return torch.empty(rows, columns).normal_(0, self.std, generator=generator)


class GPT2(Normal):
    """N(0, std²), out and fc2 × 1/√S with S the stack's residual branches, biases 0 (Radford et al. 2019).

    S is 2L in a stack of L layers, as in GPT-2. In a decoder with cross-attention it is 3L, the number of branches that
    are summed there; that extension is ours. Word vectors start as under every init, not with std.
    """

    paper = "radford2019"

    def factor(self, site: Any, role: str, sites: int) -> float:
        return 1 / math.sqrt(sites) if role in ("out", "fc2") else 1.0


class Small(XavierNormal):
    """Attention N(0, 2 / (in + 4 in)), all else N(0, 2 / (in + out)), biases 0 (SmallInit, Nguyen & Salazar 2019).

    Attention matrices start as if they were as wide as those of the feed-forward: with √(2/5) of Xavier's standard
    deviation.
    """

    paper = "nguyen2019"

    def __init__(self) -> None:
        super().__init__()

    def factor(self, site: Any, role: str, sites: int) -> float:
        return math.sqrt(2 / 5) if role in ("query", "key", "value", "out") else 1.0


class DSInit(XavierUniform):
    """U(−a, a), a = α/√l · √(6 / (in + out)) in layer l, from 1 in each stack (DS-Init, Zhang et al. 2019).

    α is at most 1.
    """

    paper = "zhang2019_ds_init"
    limits: ClassVar[dict[str, Limit]] = {"alpha": Limit(gt=0, le=1)}

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def factor(self, site: Any, role: str, sites: int) -> float:
        return self.alpha / math.sqrt(site.layer)


class PostLNInit(XavierNormal):
    """N(0, 2 / (in + out) / (N − l + 1)²) in layer l of N, from 1 in each stack (Wang et al. 2022, DeepNet).

    Lower layers shrink more. This is the Post-LN-init of the paper's section 3, not the init of DeepNorm.
    """

    paper = "wang2022_deepnet"

    def __init__(self) -> None:
        super().__init__()

    def factor(self, site: Any, role: str, sites: int) -> float:
        return 1 / (site.shape.depth - site.layer + 1)


class DeepScaleInit(Init):
    """N(0, σ²) with the σ that keeps the variance of every branch at 1 (DeepScaleLM, Kedia et al. 2024), biases 0.

    With p the dropout, d the width and h the hidden width: 1/√d for query and key, (2(1 − p)/dh)^¼ for fc1 and fc2,
    √(√((1 − p)/r)/d) for value and out, where r is how much the tokens of the stream are alike there. r is followed
    through the stack from its start, for variant=deep_scale with the same k and ReLU. Cross-attention is taken like
    self-attention, which is our choice. Not included: the paper's scale of embeddings.
    k: see variant=deep_scale. alike: the tokens' correlation in the embedding; 0.221 is the authors' for BERT's data.
    """

    paper = "kedia2024"
    limits: ClassVar[dict[str, Limit]] = {"alike": Limit(gt=0, le=1)}

    def __init__(self, k: float = 1.0, alike: float = 0.221) -> None:
        self.k, self.alike = k, alike

    def matrix(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        return torch.empty(rows, columns).normal_(0, columns**-0.5, generator=generator)

    def factor(self, site: Any, role: str, sites: int) -> float:
        keep, shape = 1 - site.dropout.p, site.shape
        if role in ("value", "out"):
            return (keep / self.alike_at(site)) ** 0.25
        if role in ("fc1", "fc2"):
            ratio = shape.width / shape.feed_forward
            return (2 * keep * (ratio if role == "fc1" else 1 / ratio)) ** 0.25
        return 1.0

    def alike_at(self, site: Any) -> float:
        """r where an attention reads the stream: branches mix in their own correlation with weight β²."""
        keep, shape = 1 - site.dropout.p, site.shape
        beta = min(1.0, self.k / shape.depth)
        attentions = 2 if shape.stack == "decoder" and shape.encoder_depth else 1
        r = self.alike * keep
        for _ in range(site.layer - 1):
            for _ in range(attentions):
                r += beta * (keep - r)
            if shape.feed_forward:
                out = r + (math.sqrt(1 - r * r) - r * math.acos(r)) / math.pi  # of ReLU
                r += beta * (keep * out - r)
        return r + beta * (keep - r) if site.kind == "cross_attention" else r


# Parameters that hold vectors: drawn from N(0, 1/size of this dimension).
VECTORS = {"positions": -1, "persistent_key": -1, "persistent_value": -2}


@torch.no_grad()
def initialise(model: nn.Module, init: Init, seed: int, gain: Callable[[nn.Module], float]) -> None:
    """Draw every matrix, bias and embedding of the model in place.

    gain: module → factor on its matrix (Variant.init_scale and Init.factor); biases are never scaled.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            size = (module.out_features, module.in_features)
            matrix = init.matrix(*size, _generator(seed, f"{name}.weight"))
            module.weight.copy_(gain(module) * matrix)
            if module.bias is not None:
                module.bias.copy_(init.bias(*size, _generator(seed, f"{name}.bias")))
        elif isinstance(module, nn.Embedding):
            module.weight.copy_(gain(module) * _vectors(module.weight, seed, f"{name}.weight"))
        for kind, parameter in module.named_parameters(recurse=False):
            if kind in VECTORS:
                parameter.copy_(_vectors(parameter, seed, f"{name}.{kind}", VECTORS[kind]))


def _vectors(like: Tensor, seed: int, name: str, dim: int = -1) -> Tensor:
    if like.is_meta:  # there is nothing to draw, and normal_ would import the compiler for it, which takes a second
        return like
    std = like.shape[dim] ** -0.5
    return torch.empty(like.shape).normal_(0, std, generator=_generator(seed, name))


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(fold_in(seed, "init", name))
