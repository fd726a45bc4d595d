"""How far the streams after two layers point apart."""

import math
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor

from normexp.probes.context import ProbeContext
from normexp.probes.probe import Probe, Readings, layer_key, layer_name


class AngularDistance(Probe):
    """Mean angle between the streams of a token after two layers, over π: 0 the same direction, ½ orthogonal.

    angular_distance: between the streams before and after a layer. angular_map, at layer l with a layer j below it as
    parameter (`decoder.03`; layer 0 is before the first): between the streams after both. map=false leaves it out.
    The mean runs over all real tokens; the paper takes the last token of a text. The stream is what
    `Variant.main_stream` shows. A stream of 0 has no direction: NaN.
    """

    measures = "angle between the streams after two layers over π, 0 to 1; 0: the layers between do not turn it"
    good = "neither high nor low in itself; 0: the layer does not turn the stream"
    statistics: ClassVar[dict[str, str]] = {
        "angular_distance": "mean angle between the stream before and after the layer, over π; 0: it is not turned",
        "angular_map": "mean angle between the streams after layer l and after layer j below it, over π",
    }
    paper = "gromov2024"

    def __init__(self, map: bool = True) -> None:
        self.map = map

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        found = []
        for stack in context.model.stacks:
            name = stack.shape.stack
            streams = [stream / _length(stream) for stream in context.layer_ends(stack, context.trace)]
            for (below, one), (above, other) in combinations(enumerate(streams), 2):
                adjacent = above == below + 1
                if adjacent or self.map:
                    distance = angle(one, other).mean() / math.pi
                if adjacent:
                    found.append((layer_key(name, above, "angular_distance"), distance))
                if self.map:
                    found.append((layer_key(name, above, "angular_map", layer_name(name, below)), distance))
        return Readings.of(found)


def angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle between unit vectors; exact where they are nearly parallel, as an arc cosine is not.   …, width → …"""
    apart, together = (torch.linalg.vector_norm(x, dim=-1) for x in (a - b, a + b))
    return 2 * torch.atan2(apart, together)


def _length(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True)
