"""How large the coming update of every parameter is, on its own and beside the parameter."""

import pandas as pd
import torch

from normexp.probes.context import ProbeContext
from normexp.probes.parameters import ParameterNorms
from normexp.probes.probe import Probe, Readings


class UpdateRatio(Probe):
    """‖W′ − W‖ and ‖W′ − W‖/‖W‖ of every parameter and every site, W′ after the coming update   Liu et al. 2020

    update_norm and update_ratio; a site's row has parameter ''. Liu et al. compare update_norm with the gradient's:
    Adam's updates are balanced where the gradients are not. The update is the run's own, its clipping, its rate and its
    weight decay.
    """

    reads_grad = True

    def __init__(self) -> None:
        self._norms: ParameterNorms | None = None

    def measure(self, context: ProbeContext) -> Readings:
        """update_ratio is NaN where the parameter is 0, as biases are at the start."""
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
