"""Whether a branch adds something new to the stream, or more or less of what is there."""

import torch
import torch.nn.functional as F

from normexp.probes.moment import Moment, real
from normexp.probes.probe import Probe, Readings, at


class Alignment(Probe):
    """mean cosine of a branch's output with the stream that it joins, −1 to 1   Oh et al. 2025, orthogonal updates

    branch_cosine, over the real tokens of the batch; 0 where they are orthogonal, and for a token whose branch or
    stream is 0. The stream that it joins is Moment.before, the branch is taken as F gives it: what a variant does to
    either before it adds them, a norm of the branch for instance, is not seen.
    """

    @torch.no_grad()
    def measure(self, moment: Moment) -> Readings:
        found = []
        for site in moment.sites:
            before, branch = moment.before(site), moment.trace.get(f"{site.name}/branch")
            if before is not None and branch is not None:
                mask = moment.mask_of(site.shape.stack)
                cosines = F.cosine_similarity(real(branch, mask), real(before, mask), dim=-1)
                found.append((at(site, "branch_cosine"), cosines.mean()))
        return Readings.of(found)
