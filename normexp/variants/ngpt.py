"""Vectors and weights of length 1: branches turn the stream on a sphere."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.norms import Norm
from normexp.variants import MakeNorm, Site, StackShape, Variant


class UnitNorm(Norm):
    """x / ‖x‖, without parameters."""

    symbol = "N"

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1)


class Keys(UnitNorm):
    """N of every head's keys, for attention whose softmax scale is √head_width."""


class Queries(UnitNorm):
    """s² ⊙ N of every head's queries, for keys that are only normed, and √head_width for 1/√head_width as the scale.

    s = 1 at the start, stored as 1/√width.
    """

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((heads, 1, width // heads), width**-0.5))
        self.factor = width * width // heads  # of s²: width for how it is stored, head_width for the softmax

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.gain**2 * super().forward(x)


class HiddenGain(nn.Module):
    """√width s ⊙ x before the activation, s = 1 at the start."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(hidden))
        self.scale = math.sqrt(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.gain * x


class NGPT(Variant):
    """The normalised Transformer: all vectors of the stream, of the matrices and of words have norm 1.

    Matrices are normed along the width, at the start and after every update: rows of query, key, value, fc1, the head
    and the word vectors, columns of out and fc2. They have no biases. a, s and the factor z on the output are learned;
    a and z are stored as 1/√width, so that they move faster. Differences: ReLU or GELU in place of SwiGLU, with a gain
    on it alike; positions are added before the first N and not by rotation; z is one scalar, on what predicts, in place
    of one per word; cross-attention and a tied head are our choice. With block=llama the first two are gone, but what
    the gate multiplies has no gain, and gains on queries and keys act before the rotation, not after it. The authors
    train without warm-up and weight decay.
    It brings its norm along, so setting a norm is an error.
    """

    equation = "x ← N(x + a ⊙ (N(F(x)) − x)), N(x) = x/‖x‖, a = 0.05 at the start; matrices normed after every step"
    paper = "loshchilov2024"
    verified = "authors' code, nGPT-pytorch"
    uses_norm = False  # none but its own
    step_start = 0.05

    def __init__(self, shape: StackShape, make_norm: MakeNorm) -> None:
        super().__init__(shape, make_norm)
        self.norm = UnitNorm()
        self.root = math.sqrt(shape.width)
        if shape.stack == "decoder" or not shape.decoder_depth:  # the stack whose output predicts
            self.output_scale = nn.Parameter(torch.tensor(shape.width**-0.5))

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        if site.kind == "feed_forward":
            return {"hidden": HiddenGain(site.width, site.shape.feed_forward)}
        return {"query": Queries(site.shape.heads, site.width), "key": Keys()}

    def build_site(self, site: Site) -> None:
        site.norm, site.branch_norm = UnitNorm(), UnitNorm()
        site.step = nn.Parameter(torch.full((site.width,), site.width**-0.5))  # a
        for module in site.sublayer.modules():
            if isinstance(module, nn.Linear):
                module.register_parameter("bias", None)

    def constrained(self, weight: Tensor, site: Site | None, role: str) -> Tensor:
        return F.normalize(weight, dim=0 if role in ("out", "fc2") else 1)

    def start_stream(self, x: Tensor) -> Tensor:
        return self.norm(x)

    def join(self, x: Tensor, site: Site) -> Tensor:
        a = torch.abs(self.step_start * self.root * site.step)
        return site.norm(x + a * (site.branch_norm(site.branch(x)) - x))

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.root * self.output_scale * stream if hasattr(self, "output_scale") else stream
