"""How large the largest entries of the residual stream are."""

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, site_key


class Activation(Probe):
    """Largest |entry| of the stream after every site, alone and over the median |entry| of the same stream.

    Over all real tokens of the batch and all coordinates. float16 ends at 65,504. Of two entries in the middle the
    median is the lower one.
    """

    measures = "largest |entry| of the stream after every site, alone and over the median |entry|"
    good = "far below 65,504, where float16 ends"
    statistics: ClassVar[dict[str, str]] = {
        "activation_max": "largest |entry| of the residual stream after the site",
        "activation_ratio": "largest |entry| of the residual stream after the site over the median |entry|",
    }
    paper = "kim2025"

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        return Readings.of(self._found(context))

    def _found(self, context: ProbeContext) -> Iterator[tuple[tuple[str, int, str, str, str], Tensor]]:
        for stack in context.model.stacks:
            for site, stream in context.streams(stack).items():
                if site is not None:
                    entries = valid_tokens(stream, context.mask_of(stack.shape.stack)).abs()
                    yield site_key(site, "activation_max"), entries.max()
                    yield site_key(site, "activation_ratio"), entries.max() / entries.median()
