"""Whether a branch adds something new to the stream, or more or less of what is there."""

import torch
import torch.nn.functional as F

from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, site_key


class Alignment(Probe):
    """mean cosine of a branch's output with the stream that it joins, −1 to 1   Oh et al. 2025, orthogonal updates

    branch_cosine, over the real tokens of the batch; 0 where they are orthogonal, and for a token whose branch or
    stream is 0. The stream is ProbeContext.stream_before and the branch is F's own output. What a variant does to
    either of them before it adds them, such as norming the branch, is not included.
    """

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
