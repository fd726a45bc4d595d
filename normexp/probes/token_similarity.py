"""How alike the tokens of a text become with depth."""

import torch
from torch import Tensor

from normexp.errors import ConfigError
from normexp.norms.norm import at_least_float32
from normexp.probes.context import ProbeContext
from normexp.probes.probe import Probe, Readings, site_key, stack_key


class TokenSimilarity(Probe):
    """cosine, effective rank and ‖X − 1xᵀ‖/‖X‖ of the tokens X of a text, in the stream   Dong et al. 2021

    Of the real tokens of each text, averaged over texts, after every site and before the first layer (layer 0):
    token_cosine, the mean cosine between two different tokens; effective_rank, exp of the entropy of X's singular
    values divided by their sum (Roy & Vetterli 2007), between 1 and the smaller side of X; rank_residual, with the
    norm √(‖·‖₁‖·‖∞) of Dong et al., 0 where all tokens are the same. Their x is the one that makes it smallest; here
    it is the mean token. X is token × width, so ‖·‖₁ is the largest absolute sum over tokens.
    Texts of one token are left out; nan where no others are there, or where a stream is 0 or not finite.
    texts: the first so many of the batch. float64: the forward is repeated by a copy of the model in double precision,
    since float32 is at its floor after a few layers that make tokens alike.
    """

    def __init__(self, texts: int = 16, float64: bool = True) -> None:
        if texts < 1:
            raise ConfigError(f"probes.token_similarity.texts={texts}: 1 or more is right")
        self.texts, self.float64 = texts, float64

    def measure(self, context: ProbeContext) -> Readings:
        if self.float64:
            context = context.with_model_copy()
            context.model.double().requires_grad_(False)
        return Readings.of(
            (stack_key(stack.shape.stack, statistic) if site is None else site_key(site, statistic), value)
            for stack in context.model.stacks
            for site, stream in context.streams(stack).items()
            for statistic, value in self._alike(stream.detach(), context.mask_of(stack.shape.stack)).items()
        )

    def _alike(self, stream: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        x = at_least_float32(stream[: self.texts])
        real = x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask[: self.texts]
        x = torch.where(real[:, :, None], x, 0)  # tokens of 0 add nothing to norms and singular values
        count = real.sum(dim=1)
        found = {
            "token_cosine": _cosine(x, count),
            "effective_rank": _effective_rank(x),
            "rank_residual": _composite_norm(_without_mean(x, real, count)) / _composite_norm(x),
        }
        return {statistic: of_texts[count > 1].mean() for statistic, of_texts in found.items()}


def _cosine(x: Tensor, count: Tensor) -> Tensor:
    """Mean over pairs of different tokens: the squared sum of unit vectors holds each pair twice.   text"""
    unit = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    with_itself = unit.square().sum(dim=(1, 2))
    return (unit.sum(dim=1).square().sum(dim=-1) - with_itself) / (count * (count - 1))


def _effective_rank(x: Tensor) -> Tensor:
    finite = x.isfinite().flatten(1).all(dim=1)
    values = torch.linalg.svdvals(torch.where(finite[:, None, None], x, 0))  # it refuses what is not finite
    share = values / values.sum(dim=-1, keepdim=True)
    return torch.special.entr(share).sum(dim=-1).exp()


def _composite_norm(x: Tensor) -> Tensor:
    """√(largest absolute column sum · largest absolute row sum).   text"""
    size = x.abs()
    return (size.sum(dim=1).amax(dim=-1) * size.sum(dim=2).amax(dim=-1)).sqrt()


def _without_mean(x: Tensor, real: Tensor, count: Tensor) -> Tensor:
    mean = x.sum(dim=1, keepdim=True) / count[:, None, None]
    return torch.where(real[:, :, None], x - mean, 0)
