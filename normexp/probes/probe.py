"""The probe interface: a measurement of a model at one step, as tidy rows."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
import torch
from torch import Tensor

from normexp.model.variant import Site
from normexp.probes.context import ProbeContext

KEY = ["stack", "layer", "site", "parameter", "statistic"]


@dataclass(frozen=True, eq=False)
class Readings:
    """Measured values with their keys; the values stay on the model's device until `frame` is called.

    keys: one row per value, with the columns of KEY. Layer 0 is outside the layers; site "" is the whole layer, at
    layer 0 the whole stack or model; parameter "" is the whole site.
    values: one number per row of keys.
    """

    keys: pd.DataFrame
    values: Tensor

    @classmethod
    def of(cls, found: Iterable[tuple[tuple[str, int, str, str, str], Tensor | float]]) -> "Readings":
        """Build readings from (key, value) pairs; a value is a number or a tensor with one element."""
        pairs = list(found)
        keys = pd.DataFrame([key for key, _ in pairs], columns=KEY)
        device = next((v.device for _, v in pairs if isinstance(v, Tensor)), torch.device("cpu"))
        values = [torch.as_tensor(v, device=device).detach().reshape(()).double() for _, v in pairs]
        return cls(keys, torch.stack(values) if values else torch.empty(0))

    def frame(self, step: int) -> pd.DataFrame:
        """Rows with the columns step, KEY and value. This waits for the device."""
        return self.keys.assign(step=step, value=self.values.cpu().double().numpy())


class Probe(ABC):
    """One kind of measurement. Its options are the arguments of __init__, set in configs/probe/NAME.yaml.

    A probe leaves the model, its gradients and every generator unchanged, so that measuring does not change a run.

    measures: what it measures and in which unit. good: which values are good, or that none is in itself.
    statistics: what each statistic that it writes means; figures show this text in their captions. A probe with one
    statistic that has the probe's name may leave it out.
    paper: a key of normexp/papers.py; "" where there is none.
    """

    measures: str = ""
    good: str = ""
    statistics: ClassVar[dict[str, str]] = {}
    paper: str = ""
    waits = True  # False: measure() never waits for the device, so its cost is not timed there either
    reads_grad = False  # True: it reads the .grad of a training step; at initialisation a backward is run for it

    @abstractmethod
    def measure(self, context: ProbeContext) -> Readings:
        """Measure the model at this step."""


def site_key(site: Site, statistic: str, parameter: str = "") -> tuple[str, int, str, str, str]:
    """Key of a value that belongs to a site."""
    return site.shape.stack, site.layer, site.name.rpartition(".")[2], parameter, statistic


def layer_key(stack: str, layer: int, statistic: str, parameter: str = "") -> tuple[str, int, str, str, str]:
    """Key of a value that belongs to a whole layer; to what comes before the first where layer is 0."""
    return stack, layer, "", parameter, statistic


def layer_name(stack: str, layer: int) -> str:
    """A layer as the parameter of a value that two layers have: decoder.05."""
    return f"{stack}.{layer:02d}"


def stack_key(stack: str, statistic: str) -> tuple[str, int, str, str, str]:
    """Key of a value that belongs to a whole stack, or to the `model`."""
    return stack, 0, "", "", statistic
