"""PowerNorm: BatchNorm with a running quadratic mean, in the forward and, approximately, in the backward."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.norms.norm import Norm, at_least_float32
from normexp.norms.pooled import IN_TRAINING, token_weights


class PowerNorm(Norm):
    """g · z + b with z = u / √(ψ² + eps), u = x / RMS(x), ψ² the running mean of u² per channel (Shen et al. 2020).

    Backward: ∂L/∂u = (∂L/∂z − ν z) / √(ψ_B² + eps), ν ← ν + (1 − a) · mean((∂L/∂z − ν z) z). ν z is the part of the
    gradient that ψ would receive, estimated by a running mean. ψ_B² is the mean of u² over this batch. In the first
    `warmup` training forwards z is computed with ψ_B; the authors' code has 10,000 of them, in much longer runs.
    Evaluation uses ψ².

    Written from the authors' code (sIncerass/powernorm, mask_powernorm.py, one group), whose update of ν equals the
    paper's ν (1 − (1 − a) Γ) + (1 − a) Λ. After the warm-up that code divides the gradient by the batch's ψ_B and not
    by ψ, and so does this class; the paper's choice is not checked. Here padding counts nowhere; in their code it
    enters ν. Their script puts the norm into the encoder only. In a causal stack its warm-up lets a token see later
    ones, as BatchNorm does. Not for training.amp=fp16, whose loss scale would enter ν.
    """

    symbol = "PN"
    paper = "shen2020"
    causality_note = IN_TRAINING
    refuses_fp16 = True
    running: Tensor
    nu: Tensor
    forwards: Tensor

    def __init__(
        self, width: int, warmup: int = 40, forward_decay: float = 0.9, backward_decay: float = 0.9, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.warmup, self.eps = warmup, eps
        self.forward_decay, self.backward_decay = forward_decay, backward_decay
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running", torch.ones(width))  # ψ²
        self.register_buffer("nu", torch.zeros(width))
        self.register_buffer("forwards", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        x = at_least_float32(x)
        u = F.rms_norm(x, x.shape[-1:], eps=self.eps)
        if not self.training:
            return self.weight * u / torch.sqrt(self.running + self.eps) + self.bias
        share = token_weights(u, self)
        share = share / share.sum()  # the weight of each real token in a mean over all of them
        over_tokens = tuple(range(u.dim() - 1))
        with torch.no_grad():
            self.forwards += 1
            batch = (share * u.square()).sum(over_tokens)
            square = torch.where(self.forwards <= self.warmup, batch, self.running)
            self.running.lerp_(batch, torch.where(self.forwards < self.warmup, 1 / self.forwards, 0.0).to(batch.dtype))
            self.running.lerp_(batch, 1 - self.forward_decay)
        z = u / torch.sqrt(square + self.eps)

        kept = z.detach()  # the hook belongs to z: with z itself it would keep the graph of every step for good

        def approximate(gradient: Tensor) -> Tensor:
            gradient = (gradient - self.nu * kept) * (share > 0)
            with torch.no_grad():
                self.nu.add_((share * gradient * kept).sum(over_tokens), alpha=1 - self.backward_decay)
            return gradient * torch.sqrt((square + self.eps) / (batch + self.eps))

        if z.requires_grad:
            z.register_hook(approximate)
        return self.weight * z + self.bias

    def linearised_at(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """Every summand is divided by what x was divided by in the forward before: its RMS and ψ."""
        x = at_least_float32(x)
        u, square = F.rms_norm(x, x.shape[-1:], eps=self.eps), self.running
        if self.training:
            share = token_weights(u, self)
            batch = (share / share.sum() * u.square()).sum(tuple(range(u.dim() - 1)))
            before = (square - (1 - self.forward_decay) * batch) / self.forward_decay  # that forward has moved ψ²
            square = torch.where(self.forwards <= self.warmup, batch, before)
        root = torch.sqrt(x.square().mean(-1, keepdim=True) + self.eps)
        return lambda part: self.weight * part / root / torch.sqrt(square + self.eps)
