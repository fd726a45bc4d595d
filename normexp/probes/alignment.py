"""Cosine similarity between a branch output and the stream that it is added to."""

from typing import ClassVar

import torch
import torch.nn.functional as F

from normexp.probes.context import ProbeContext
from normexp.probes.probe import Probe, Readings, site_key


class Alignment(Probe):
    """Mean cosine between every branch output and the stream before it.

    The mean runs over the real tokens of the batch; a token whose branch or stream is 0 counts as 0. The stream is
    ProbeContext.stream_before and the branch is F's output. What a variant does to either of them before it adds them,
    such as normalising the branch, is not included.
    """

    measures = "cosine between a branch output and the stream that it is added to, −1 to 1; 0: the branch is orthogonal"
    good = "neither high nor low in itself; 0: the branch adds something new"
    statistics: ClassVar[dict[str, str]] = {
        "branch_cosine": "mean cosine between a branch output and the stream that it is added to"
    }
    paper = "oh2025"

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        return Readings.of(
            (site_key(site, "branch_cosine"), F.cosine_similarity(branch, before, dim=-1).mean())
            for site, branch, before in context.branches()
        )
