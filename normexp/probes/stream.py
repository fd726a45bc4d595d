"""How large the residual stream is, and what the branches add to it."""

import torch

from normexp.probes.moment import Moment, squared_norm
from normexp.probes.probe import Probe, Readings, at


class StreamNorm(Probe):
    """mean ‖x‖²/width of the stream after every site and of the branch that it joined   Xiong et al. 2020, Lemma 2

    stream_norm and branch_norm, over the real tokens of the batch. A stack's stream before its first layer is
    stream_norm of layer 0.
    """

    def measure(self, moment: Moment) -> Readings:
        with torch.no_grad():
            return Readings.of(
                (
                    at(site, f"{what}_norm"),
                    squared_norm(moment.trace[name], moment.mask_of(site.shape.stack)) / site.width,
                )
                for site in moment.sites
                for what in ("stream", "branch")
                if (name := f"{site.name}/{what}") in moment.trace
            )
