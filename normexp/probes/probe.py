"""What a probe is: something measured at a context, as tidy rows that stay on the device until they are asked for."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from normexp.model.variant import Site
from normexp.probes.context import ProbeContext

KEY = ["stack", "layer", "site", "parameter", "statistic"]


@dataclass(frozen=True, eq=False)
class Readings:
    """Values and what each of them is.

    keys: one row per value, with the columns of KEY. layer 0 is outside the layers, site "" the whole stack or model,
    parameter "" the whole site.
    values: value, on the model's device.
    """

    keys: pd.DataFrame
    values: Tensor

    @classmethod
    def of(cls, found: Iterable[tuple[tuple[str, int, str, str, str], Tensor | float]]) -> "Readings":
        """From (key, value) pairs; a value is a number or a tensor of one."""
        pairs = list(found)
        keys = pd.DataFrame([key for key, _ in pairs], columns=KEY)
        device = next((v.device for _, v in pairs if isinstance(v, Tensor)), torch.device("cpu"))
        values = [torch.as_tensor(v, device=device).detach().reshape(()).double() for _, v in pairs]
        return cls(keys, torch.stack(values) if values else torch.empty(0))

    def frame(self, step: int) -> pd.DataFrame:
        """Rows of step, KEY and value; this is where the device is waited for."""
        return self.keys.assign(step=step, value=self.values.cpu().double().numpy())


class Probe(ABC):
    """One kind of measurement. Options are the arguments of __init__, which configs/probe/<name>.yaml may set.

    The first line of a probe's docstring says what it measures, in which unit, and who proposed it, three spaces apart.
    A probe leaves the model, its gradients and every generator as it found them, so that measuring changes no run.
    """

    waits = True  # False: measure() never waits for the device, so its cost is not timed there either
    reads_grad = False  # True: it reads the .grad that a training step leaves, so at initialisation one is made for it

    @abstractmethod
    def measure(self, context: ProbeContext) -> Readings:
        """Look at the model as it is at this context."""


def site_key(site: Site, statistic: str, parameter: str = "") -> tuple[str, int, str, str, str]:
    """The key of a value at a site."""
    return site.shape.stack, site.layer, site.name.rpartition(".")[2], parameter, statistic


def stack_key(stack: str, statistic: str) -> tuple[str, int, str, str, str]:
    """The key of a value that describes a whole stack, or the `model`."""
    return stack, 0, "", "", statistic
