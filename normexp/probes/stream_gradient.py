"""How much of the loss gradient reaches the stream after every site, and the branch that joined it there."""

import torch
from torch import Tensor

from normexp.model.seam import Site
from normexp.probes.moment import Moment, real
from normexp.probes.probe import Probe, Readings, at


class StreamGradient(Probe):
    """√Σ g² of the loss gradient for the stream after every site, and its share of the largest   Liu et al. 2020

    stream_grad_norm; stream_grad_relative, the same over the largest of all sites of the model, as in Liu et al.'s
    histogram of gradients by layer; branch_grad_norm, for the branch's output: where the sum is normed that is the
    gradient at the norm's input, so that branch over stream is what the norm leaves of it (Takase et al. 2022).
    The sum runs over real tokens and width; the loss is in nats per label.
    nan where the loss does not come from that tensor. Such is the stream of hyper-connections: probes see the sum of
    its copies, which no site reads.
    """

    def measure(self, moment: Moment) -> Readings:
        streams, branches = (self._norms(moment, what) for what in ("stream", "branch"))
        largest = torch.stack([*streams.values(), torch.zeros_like(moment.nll)]).nan_to_num(0.0).max()
        readings = {
            "stream_grad_norm": streams,
            "stream_grad_relative": {
                site: torch.where(largest == 0, norm, norm / largest) for site, norm in streams.items()
            },
            "branch_grad_norm": branches,
        }
        return Readings.of((at(site, what), norm) for what, found in readings.items() for site, norm in found.items())

    def _norms(self, moment: Moment, what: str) -> dict[Site, Tensor]:
        """The gradient norm at every site that names such a tensor."""
        named = {site: moment.trace[name] for site in moment.sites if (name := f"{site.name}/{what}") in moment.trace}
        gradients = moment.gradients(list(named.values())) if named else []
        return {
            site: torch.linalg.vector_norm(
                real(
                    torch.full_like(tensor, torch.nan) if gradient is None else gradient,
                    moment.mask_of(site.shape.stack),
                )
            )
            for (site, tensor), gradient in zip(named.items(), gradients, strict=True)
        }
