"""Addresses of parameters, the matrices of the sub-layers, and norms over parameters and sites."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from normexp.model.stack import in_sublayer
from normexp.probes.probe import KEY

PLACE = ["stack", "layer", "site"]


def address(name: str) -> tuple[str, int, str, str]:
    """Stack, layer (from 1; 0 outside the layers), site and name within the site of a parameter.

    decoder.layers.05.attention.sublayer.query.weight → (decoder, 5, attention, query.weight)
    """
    parts = name.split(".")
    if "layers" in parts[:2]:
        stack, _, layer, site, *rest = parts
        return stack, int(layer), site, ".".join(rest).removeprefix("sublayer.")
    if parts[0] in ("encoder", "decoder"):
        return parts[0], 0, parts[1], ".".join(parts[2:])
    return "model", 0, parts[0], ".".join(parts[1:])


def matrices(model: nn.Module) -> dict[str, Tensor]:
    """Every query, key, value, out, fc1, fc2 and gate matrix, by name."""
    return {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and in_sublayer(name)
    }


class ParameterNorms:
    """√Σ x² for one tensor per parameter, and over all tensors of a site. The rows are named once per model.

    Sites come first, with parameter '', then the parameters in the model's order.
    """

    def __init__(self, model: nn.Module) -> None:
        labels = pd.DataFrame([address(name) for name, _ in model.named_parameters()], columns=KEY[:-1])
        sites = labels[PLACE].drop_duplicates(ignore_index=True)
        self.model, self.parameters = model, list(model.parameters())  # walking a deep model takes as long as the norms
        self._places = pd.concat([sites.assign(parameter=""), labels], ignore_index=True)
        self._sites = len(sites)
        site_of = labels.groupby(PLACE, sort=False).ngroup().tolist()
        self._site_of: Tensor = torch.tensor(site_of, device=next(model.parameters()).device)

    def keys(self, statistic: str) -> pd.DataFrame:
        """One row per value of `of`, with the columns of KEY."""
        return self._places.assign(statistic=statistic)

    def of(self, tensors: Sequence[Tensor]) -> Tensor:
        """Norms of tensors given in the order of the parameters, accumulated in at least float32."""
        precision = torch.promote_types(tensors[0].dtype, torch.float32)
        norms = torch.stack(torch._foreach_norm(list(tensors), 2, precision)).double()
        squares = norms.new_zeros(self._sites).index_add_(0, self._site_of, norms.square())
        return torch.cat([squares.sqrt(), norms])
