"""How much a branch and a layer change the stream, in relation to its size."""

from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from normexp.model.stack import Stack
from normexp.probes.context import ProbeContext
from normexp.probes.probe import Probe, Readings, layer_key, site_key


class RelativeContribution(Probe):
    """Mean ‖F(x)‖/‖x‖ of every branch, and how far and in which direction every layer changes the stream.

    relative_contribution: x is the stream before the site (ProbeContext.stream_before) and F(x) the branch output. What
    a variant does to either before it adds them is not included. The cosine between the two is probe=alignment.
    layer_change: mean ‖x_l − x_{l−1}‖/‖x_{l−1}‖ for the stream before and after a layer, norms on it included.
    layer_cosine: mean cosine between that change and x_{l−1}; below 0 the layer erases part of the stream.
    Means over the real tokens; infinite where the stream is 0. The stream is what `Variant.main_stream` shows.
    """

    measures = "size of every branch, and of every layer's change, over that of the stream; small: little is added"
    good = "neither high nor low in itself; even over depth: no layer is idle"
    statistics: ClassVar[dict[str, str]] = {
        "relative_contribution": "mean ratio of a branch output's norm to that of the stream before it",
        "layer_change": "mean norm of a layer's change of the stream over that of the stream before it",
        "layer_cosine": "mean cosine between a layer's change of the stream and the stream before; below 0: it erases",
    }
    paper = "csordas2025"

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        found = [
            (site_key(site, "relative_contribution"), relative(branch, before))
            for site, branch, before in context.branches()
        ]
        for stack in context.model.stacks:
            found += self._layers(context, stack)
        return Readings.of(found)

    def _layers(self, context: ProbeContext, stack: Stack) -> list[tuple[tuple[str, int, str, str, str], Tensor]]:
        streams, found = context.layer_ends(stack, context.trace), []
        for layer, (before, after) in enumerate(pairwise(streams), start=1):
            change = after - before
            cosine = F.cosine_similarity(change, before, dim=-1).mean()
            found += [(layer_key(stack.shape.stack, layer, "layer_change"), relative(change, before))]
            found += [(layer_key(stack.shape.stack, layer, "layer_cosine"), cosine)]
        return found


def relative(x: Tensor, stream: Tensor) -> Tensor:
    """Mean ‖x‖/‖stream‖ over tokens."""
    part, whole = (torch.linalg.vector_norm(each, dim=-1) for each in (x, stream))
    return (part / whole).mean()
