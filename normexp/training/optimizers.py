"""The optimizer that a config describes."""

import inspect
from typing import Any

import torch
from torch import nn

from normexp.config.choice import Choice


def build_optimizer(optimizer: Choice, model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """An optimizer over the model's named parameters at learning rate `lr`.

    The class may group parameters by name and give each group a rate; the schedule scales all of them. Where add-ons
    scale its options at some sites, parameters are grouped by their scales; an option that is not a number, such as
    Adafactor's pair of eps, is left as it is.
    It is fused if the class can be, unless its options say otherwise: fused Adam takes 3 to 4 times less than a loop
    over the hundreds of small tensors of a deep narrow stack.
    """
    parameters = inspect.signature(optimizer.cls).parameters
    options: dict[str, Any] = {"lr": lr}
    if "fused" in parameters and not {"fused", "foreach", "differentiable"} & set(optimizer.options):
        options["fused"] = True
    usual: dict[str, Any] = {name: each.default for name, each in parameters.items()}
    usual |= {**optimizer.options, **options}
    scales = option_scales(model)
    if not scales:
        built: torch.optim.Optimizer = optimizer.build(model.named_parameters(), **options)
        return built
    groups: dict[tuple[tuple[str, float], ...], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault(scales.get(parameter, ()), []).append((name, parameter))
    built = optimizer.build(
        [
            {"params": named}
            | {option: usual[option] * factor for option, factor in group if isinstance(usual.get(option), int | float)}
            for group, named in groups.items()
        ],
        **options,
    )
    return built


def option_scales(model: Any) -> dict[nn.Parameter, tuple[tuple[str, float], ...]]:
    """Factors on options of the optimizer, for the parameters that have some other than 1."""
    found: dict[nn.Parameter, tuple[tuple[str, float], ...]] = {}
    for stack in getattr(model, "stacks", ()):
        for site in stack.sites:
            factors: dict[str, float] = {}
            for add_on in site.add_ons:
                for option, factor in add_on.option_scales(site).items():
                    factors[option] = factors.get(option, 1.0) * factor
            kept = tuple((option, factor) for option, factor in factors.items() if factor != 1)
            if kept:
                found |= dict.fromkeys(site.parameters(), kept)
    return found
