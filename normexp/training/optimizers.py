"""The optimizer that a config describes."""

import inspect
from typing import Any

import torch
from torch import nn

from normexp.config.choice import Choice


def build_optimizer(optimizer: Choice, model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """An optimizer over the model's named parameters at learning rate `lr`, fused if the class can be.

    The class may group parameters by name and give each group a rate; the schedule scales all of them.
    Fused Adam takes 3 to 4 times less than a loop over the hundreds of small tensors of a deep narrow stack.
    """
    options: dict[str, Any] = {"lr": lr}
    if "fused" in inspect.signature(optimizer.cls).parameters:
        options["fused"] = True
    built: torch.optim.Optimizer = optimizer.build(model.named_parameters(), **options)
    return built
