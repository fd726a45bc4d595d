"""Muon for the matrices of sub-layers, AdamW for everything else."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from normexp.errors import ConfigError
from normexp.model.stack import in_sublayer

ADJUST = ("match_rms_adamw", "original")


class MuonAdamW(torch.optim.Optimizer):
    """torch.optim.Muon on query, key, value, out, fc1, fc2 and gate; torch.optim.AdamW on all other parameters.

    Muon takes the momentum of a matrix's gradient, makes it nearly orthogonal by five steps of Newton-Schulz, and moves
    the matrix along it (Jordan et al. 2024). Embeddings, the head, biases, norms and what a variant owns are AdamW's.
    adjust: match_rms_adamw scales a step by 0.2 √(longer side), so that rates found for AdamW fit (Liu et al. 2025);
    original by √max(1, out/in). betas, eps: of AdamW. weight_decay: of both. Raises ConfigError for any other adjust.
    """

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, nn.Parameter]],
        lr: float,
        momentum: float = 0.95,
        adjust: str = "match_rms_adamw",
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if adjust not in ADJUST:
            raise ConfigError(f"optimizer.adjust must be {' or '.join(ADJUST)}; got {adjust}")
        named = list(named_parameters)
        of_sublayer = {name for name, p in named if in_sublayer(name) and p.ndim == 2}
        hidden = [p for name, p in named if name in of_sublayer]
        others = [p for name, p in named if name not in of_sublayer]
        super().__init__([p for _, p in named], {"lr": lr})
        self.parts: list[torch.optim.Optimizer] = []
        if hidden:
            self.parts.append(
                torch.optim.Muon(hidden, lr, weight_decay=weight_decay, momentum=momentum, adjust_lr_fn=adjust)
            )
        if others:
            self.parts.append(torch.optim.AdamW(others, lr, betas=betas, eps=eps, weight_decay=weight_decay))
        self._share_groups()

    def _share_groups(self) -> None:
        """The groups of the parts are this optimizer's: a rate that is set here is theirs."""
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()
