"""Cosine similarity between a branch output and the stream that it is added to."""

from typing import ClassVar

import torch
import torch.nn.functional as F

from normexp.probes.context import ProbeContext, valid_tokens
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
        found = []
        for site in context.sites:
            before, branch = context.stream_before(site), context.trace.get(f"{site.name}/branch")
            if before is not None and branch is not None:
                mask = context.mask_of(site.shape.stack)
                cosines = F.cosine_similarity(valid_tokens(branch, mask), valid_tokens(before, mask), dim=-1)
                found.append((site_key(site, "branch_cosine"), cosines.mean()))
        return Readings.of(found)
