"""Branches that fade in during training, deeper layers later."""

from collections.abc import Callable

import torch
from torch import Tensor

from normexp.addons import AddOn, Site, StackShape
from normexp.errors import ConfigError

# By form, of layer and depth: how many times T a layer's ramp is long, and a factor that never changes.
RAMPS: dict[str, Callable[[int, int], int]] = {
    "linear": lambda layer, depth: layer,
    "reverse": lambda layer, depth: depth + 1 - layer,
    "equal": lambda layer, depth: depth,
}
FIXED: dict[str, Callable[[int, int], float]] = {
    "1/L": lambda layer, depth: 1 / depth,
    "1/sqrt_L": lambda layer, depth: 1 / depth**0.5,
    "1/sqrt_l": lambda layer, depth: 1 / layer**0.5,
}


class ProRes(AddOn):
    """Progressive residual warm-up: a factor on every branch that rises to 1, in layer l over T·l steps.

    l is the layer in its own stack, from 1. An untrained model has the factors of step 1. The authors count from 0, so
    their first step is the identity; here the first layer's branch is not 0 in it. They give the length of the last
    layer's ramp, T·L. Their schedules sqrt, square and stagewise are not included.
    steps: T. form: linear; reverse, the upper layers first; equal, all layers over T·L steps; or a factor that does not
    change: 1/L, 1/sqrt_L or 1/sqrt_l. Raises ConfigError for any other form, and for T below 1.
    """

    equation = "f ← αf, α = min(1, t/(T·l)) at step t"
    paper = "chen2026_prores"
    verified = "authors' code"
    alpha: Tensor  # by layer

    def __init__(self, shape: StackShape, *, steps: int = 4, form: str = "linear") -> None:
        super().__init__(shape)
        if form not in (*RAMPS, *FIXED):
            raise ConfigError(f"addon.prores.form must be one of {', '.join((*RAMPS, *FIXED))}; got {form}")
        if steps < 1:
            raise ConfigError(f"addon.prores.steps must be at least 1; got {steps}")
        self.steps, self.form = steps, form
        self.register_buffer("alpha", torch.ones(shape.depth))
        self.on_step_begin(1)

    def after_branch(self, f: Tensor, site: Site) -> Tensor:
        return self.alpha[site.layer - 1] * f

    def on_step_begin(self, step: int) -> None:
        depth = self.shape.depth
        for layer in range(1, depth + 1):
            ramp = RAMPS.get(self.form)
            alpha = min(1.0, step / (self.steps * ramp(layer, depth))) if ramp else FIXED[self.form](layer, depth)
            self.alpha[layer - 1] = alpha
