"""Size of the coming update of every parameter, absolute and relative to the parameter."""

from typing import ClassVar

import pandas as pd
import torch

from normexp.probes.context import ProbeContext
from normexp.probes.parameters import ParameterNorms
from normexp.probes.probe import Probe, Readings


class UpdateRatio(Probe):
    """‖W′ − W‖ and ‖W′ − W‖/‖W‖ of every parameter and every site, with W′ the weights after the coming update.

    The row of a site has parameter ''. The update is that of the run, with its optimizer, clipping, rate and weight
    decay. NaN where a gradient overflows under training.amp=fp16, a step that the run leaves out. Liu et al. compare
    update_norm with the gradient norm: Adam's updates are balanced where gradients are not.
    """

    measures = "norm of the coming update, and that norm over the norm of the weights (about 1e-3 is common)"
    good = "equal over layers"
    statistics: ClassVar[dict[str, str]] = {
        "update_norm": "norm of the coming update of all parameters of a site",
        "update_ratio": "norm of the coming update over the norm of the weights",
    }
    paper = "liu2020"

    reads_grad = True

    def __init__(self) -> None:
        self._norms: ParameterNorms | None = None

    def measure(self, context: ProbeContext) -> Readings:
        """Norm and ratio; the ratio is NaN where the parameter is 0, as biases are at initialisation."""
        if self._norms is None or self._norms.model is not context.model:
            self._norms = ParameterNorms(context.model)
            self._keys = pd.concat(
                [self._norms.keys(f"update_{what}") for what in ("norm", "ratio")], ignore_index=True
            )
        with torch.no_grad():
            weights = list(context.model.parameters())
            updates = [new - old for new, old in zip(context.updated_model().parameters(), weights, strict=True)]
            update, size = self._norms.of(updates), self._norms.of(weights)
            ratio = torch.where(size > 0, update / size, torch.nan)
        return Readings(self._keys, torch.cat([update, ratio]))
