"""Initialisations: how weights start, drawn per parameter name.

A matrix is drawn from (seed, its name) alone, so two variants start from the same weights wherever their
parameters have the same names, and no two layers start alike. Word and learned position vectors are drawn from
N(0, 1/width) under every init, since the models scale them by √width; norms and a variant's own scalars start as
their class says. Persistent keys and values (see Attention) are drawn alike under every init, and no variant scales
them.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def fold_in(seed: int, *words: object) -> int:
    """A seed of its own for every purpose: the same words give the same number on every machine."""
    text = "/".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Init(ABC):
    """How a matrix and its bias start.

    matrix(out, in) and bias(out, in) are drawn in float32 from the generator given; at a site the matrix is scaled by
    factor(…), which knows where it stands, and by what the variant prescribes (Variant.init_scale).
    """

    @abstractmethod
    def matrix(self, rows: int, columns: int, generator: torch.Generator) -> Tensor: ...

    def bias(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        return torch.zeros(rows)

    def factor(self, site: Any, role: str, sites: int) -> float:
        """Factor on the matrix that plays `role` (query, key, value, out, fc1, fc2) at a site of a stack of `sites`."""
        return 1.0


class XavierUniform(Init):
    """U(−a, a), a = gain · √(6 / (in + out)), biases 0; q, k and v each as its own matrix.   Glorot & Bengio 2010"""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def matrix(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        bound = self.gain * math.sqrt(6 / (rows + columns))
        return torch.empty(rows, columns).uniform_(-bound, bound, generator=generator)


class XavierNormal(Init):
    """N(0, gain² · 2 / (in + out)), biases 0; q, k and v each as its own matrix.   Glorot & Bengio 2010"""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def matrix(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        std = self.gain * math.sqrt(2 / (rows + columns))
        return torch.empty(rows, columns).normal_(0, std, generator=generator)


class UniformAttention(XavierNormal):
    """Xavier normal, but query and key 0: every token attends to all alike.   Xiong et al. 2020, section 3.3

    The simplified setting of its lemmas, with one head and a feed-forward as wide as the stream; the output
    projection that they leave out keeps the size of vectors here.
    """

    def __init__(self) -> None:
        super().__init__()

    def factor(self, site: Any, role: str, sites: int) -> float:
        return 0.0 if role in ("query", "key") else 1.0


class TorchDefault(Init):
    """U(−1/√in, 1/√in) for matrices and biases: what torch.nn.Linear does by itself."""

    def matrix(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        bound = 1 / math.sqrt(columns)
        return torch.empty(rows, columns).uniform_(-bound, bound, generator=generator)

    def bias(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        bound = 1 / math.sqrt(columns)
        return torch.empty(rows).uniform_(-bound, bound, generator=generator)


class Normal(Init):
    """N(0, std²), biases 0.   Devlin et al. 2018 with std 0.02"""

    def __init__(self, std: float = 0.02) -> None:
        self.std = std

    def matrix(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        return torch.empty(rows, columns).normal_(0, self.std, generator=generator)


class GPT2(Normal):
    """N(0, std²), out and fc2 × 1/√S with S the stack's residual branches, biases 0.   Radford et al. 2019

    S is 2L in a stack of L layers, as in GPT-2 itself, and 3L in a decoder with cross-attention, where as many branches
    are summed; that reading is ours. Word vectors start as under every init, not with std.
    """

    def factor(self, site: Any, role: str, sites: int) -> float:
        return 1 / math.sqrt(sites) if role in ("out", "fc2") else 1.0


class Small(XavierNormal):
    """Attention N(0, 2 / (in + 4 in)), all else N(0, 2 / (in + out)), biases 0.   Nguyen & Salazar 2019 (SmallInit)

    Attention matrices as if they were as wide as the feed-forward ones: √(2/5) of Xavier's standard deviation.
    """

    def __init__(self) -> None:
        super().__init__()

    def factor(self, site: Any, role: str, sites: int) -> float:
        return math.sqrt(2 / 5) if role in ("query", "key", "value", "out") else 1.0


class DSInit(XavierUniform):
    """U(−a, a), a = α/√l · √(6 / (in + out)) in layer l, counted from 1 in each stack.   Zhang et al. 2019

    α is at most 1.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def factor(self, site: Any, role: str, sites: int) -> float:
        return self.alpha / math.sqrt(site.layer)


class PostLNInit(XavierNormal):
    """N(0, 2 / (in + out) / (N − l + 1)²) in layer l of N, counted from 1 in each stack.   Wang et al. 2022 (DeepNet)

    Lower layers are shrunk more: section 3's remedy for Post-LN, not DeepNorm's own.
    """

    def __init__(self) -> None:
        super().__init__()

    def factor(self, site: Any, role: str, sites: int) -> float:
        return 1 / (site.shape.depth - site.layer + 1)


# Parameters that are vectors and no matrices: drawn from N(0, 1/size of this dimension).
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
    std = like.shape[dim] ** -0.5
    return torch.empty(like.shape).normal_(0, std, generator=_generator(seed, name))


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(fold_in(seed, "init", name))
