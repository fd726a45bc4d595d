"""The gradient norm of every parameter, and one number per site."""

import pandas as pd
import torch
from torch import Tensor, nn

from normexp.probes.moment import Moment
from normexp.probes.probe import KEY, Probe, Readings

PLACE = ["stack", "layer", "site"]


def address(name: str) -> tuple[str, int, str, str]:
    """Where a parameter stands: stack, layer (from 1; 0 outside the layers), site, name within the site.

    decoder.layers.05.attention.sublayer.query.weight → (decoder, 5, attention, query.weight)
    """
    parts = name.split(".")
    if "layers" in parts[:2]:
        stack, _, layer, site, *rest = parts
        return stack, int(layer), site, ".".join(rest).removeprefix("sublayer.")
    if parts[0] in ("encoder", "decoder"):
        return parts[0], 0, parts[1], ".".join(parts[2:])
    return "model", 0, parts[0], ".".join(parts[1:])


class GradientNorm(Probe):
    """√Σ g² of every parameter's and every site's gradient, before clipping, in float32   any optimiser's log

    The gradients are those of the training step itself, as its backward left them in .grad. A site's row has
    parameter ''.
    """

    waits, reads_grad = False, True

    def __init__(self) -> None:
        self._known: nn.Module | None = None

    def measure(self, moment: Moment) -> Readings:
        """0 where nothing flowed back."""
        if moment.model is not self._known:
            self._learn(moment.model)
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in moment.model.parameters()]
        norms = torch.stack(torch._foreach_norm(grads, 2, torch.float32)).double()
        squares = norms.new_zeros(self._sites).index_add_(0, self._site_of, norms.square())
        return Readings(self._keys, torch.cat([squares.sqrt(), norms]))

    def _learn(self, model: nn.Module) -> None:
        """Names of a model's rows, made once."""
        labels = pd.DataFrame([address(name) for name, _ in model.named_parameters()], columns=KEY[:-1])
        sites = labels[PLACE].drop_duplicates(ignore_index=True)
        self._known, self._sites = model, len(sites)
        self._keys = pd.concat([sites.assign(parameter=""), labels], ignore_index=True).assign(statistic="grad_norm")
        site_of = labels.groupby(PLACE, sort=False).ngroup().tolist()
        self._site_of: Tensor = torch.tensor(site_of, device=next(model.parameters()).device)
