"""How similar the tokens of a text become with depth (rank collapse)."""

from typing import ClassVar

import torch
from torch import Tensor

from normexp.errors import ConfigError
from normexp.norms.norm import at_least_float32
from normexp.probes.context import ProbeContext
from normexp.probes.probe import Probe, Readings, site_key, stack_key


class TokenSimilarity(Probe):
    """Cosine, effective rank and ‖X − 1xᵀ‖/‖X‖ of the tokens X of a text, in the stream.

    X holds the real tokens of one text, token × width. Values are means over texts, after every site and before the
    first layer (layer 0).
    token_cosine: mean cosine between two different tokens. effective_rank: exp of the entropy of X's singular values
    over their sum (Roy & Vetterli 2007), between 1 and the smaller side of X. rank_residual: in the norm √(‖·‖₁‖·‖∞)
    of Dong et al., 0 where all tokens are equal; their x minimises it, here x is the mean token. ‖·‖₁ is the largest
    absolute sum over tokens.
    Texts of one token are left out. NaN where no text is left, and where a stream is not finite. Where it is 0,
    token_cosine is 0 and the others are NaN.
    texts: use only the first so many texts of the batch. float64: repeat the forward with a copy of the model in
    double precision, because in float32 the residual reaches its rounding floor after a few collapsing layers.
    centred: subtract the mean token from X before taking the effective rank, which it otherwise dominates.
    """

    measures = "similarity of the tokens of a text in the stream; cosine near 1, rank near 1: the tokens have collapsed"
    good = "low cosine, high rank: no rank collapse"
    statistics: ClassVar[dict[str, str]] = {
        "token_cosine": "mean cosine between two tokens of a text; 1: all tokens point the same way",
        "effective_rank": "effective rank of the tokens of a text, from 1",
        "rank_residual": "distance of the tokens of a text from their mean, relative to their size; 0: all are equal",
    }
    paper = "dong2021"

    def __init__(self, texts: int = 16, float64: bool = True, centred: bool = False) -> None:
        if texts < 1:
            raise ConfigError(f"probes.token_similarity.texts must be at least 1; got {texts}")
        self.texts, self.float64, self.centred = texts, float64, centred

    def measure(self, context: ProbeContext) -> Readings:
        if self.float64:
            context = context.with_model_copy()
            context.model.double().requires_grad_(False)
        return Readings.of(
            (stack_key(stack.shape.stack, statistic) if site is None else site_key(site, statistic), value)
            for stack in context.model.stacks
            for site, stream in context.streams(stack).items()
            for statistic, value in self._similarity(stream.detach(), context.mask_of(stack.shape.stack)).items()
        )

    def _similarity(self, stream: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        x = at_least_float32(stream[: self.texts])
        real = x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask[: self.texts]
        x = torch.where(real[:, :, None], x, 0)  # padding is set to 0, which adds nothing to norms and singular values
        count = real.sum(dim=1)
        deviations = _without_mean(x, real, count)
        found = {
            "token_cosine": _cosine(x, count),
            "effective_rank": _effective_rank(deviations if self.centred else x),
            "rank_residual": _composite_norm(deviations) / _composite_norm(x),
        }
        return {statistic: of_texts[count > 1].mean() for statistic, of_texts in found.items()}


def _cosine(x: Tensor, count: Tensor) -> Tensor:
    """Mean over pairs of different tokens: the squared sum of unit vectors contains every pair twice.   text"""
    unit = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    with_itself = unit.square().sum(dim=(1, 2))
    return (unit.sum(dim=1).square().sum(dim=-1) - with_itself) / (count * (count - 1))


def _effective_rank(x: Tensor) -> Tensor:
    finite = x.isfinite().flatten(1).all(dim=1)
    values = torch.linalg.svdvals(torch.where(finite[:, None, None], x, 0))  # svdvals rejects NaN and inf
    share = values / values.sum(dim=-1, keepdim=True)
    return torch.special.entr(share).sum(dim=-1).exp()


def _composite_norm(x: Tensor) -> Tensor:
    """√(largest absolute column sum · largest absolute row sum).   text"""
    size = x.abs()
    return (size.sum(dim=1).amax(dim=-1) * size.sum(dim=2).amax(dim=-1)).sqrt()


def _without_mean(x: Tensor, real: Tensor, count: Tensor) -> Tensor:
    mean = x.sum(dim=1, keepdim=True) / count[:, None, None]
    return torch.where(real[:, :, None], x - mean, 0)
