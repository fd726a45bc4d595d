"""Cosine similarity of branches: of an output and the stream that it is added to, of an input and the one before."""

from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from normexp.model.stack import Stack
from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, site_key


class Alignment(Probe):
    """Mean cosine between every branch output and the stream before it, and between the inputs of neighbours.

    branch_cosine: of F(x) and the stream. The mean runs over the real tokens of the batch; a token whose branch or
    stream is 0 counts as 0. The stream is ProbeContext.stream_before and the branch is F's output. What a variant does
    to either of them before it adds them, such as normalising the branch, is not included.
    input_cosine: of what a branch reads and what the branch before it in the stack reads, after the norms that come
    before branches; none at the first.
    """

    measures = "cosine of a branch output and the stream, and of a branch input and the one before it, −1 to 1"
    good = "neither high nor low in itself; 0: the branch adds something new"
    statistics: ClassVar[dict[str, str]] = {
        "branch_cosine": "mean cosine between a branch output and the stream that it is added to",
        "input_cosine": "mean cosine between what a branch reads and what the branch before it reads",
    }
    paper = "oh2025"

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        outputs = [
            (site_key(site, "branch_cosine"), F.cosine_similarity(branch, before, dim=-1).mean())
            for site, branch, before in context.branches()
        ]
        return Readings.of([*outputs, *(found for stack in context.model.stacks for found in inputs(context, stack))])


def inputs(context: ProbeContext, stack: Stack) -> Iterator[tuple[tuple[str, int, str, str, str], Tensor]]:
    """The cosine between the inputs of every two neighbouring branches of a stack, at the later one."""
    mask = context.mask_of(stack.shape.stack)
    for below, site in pairwise(stack.sites):
        one, other = (valid_tokens(context.trace[f"{at.name}/input"], mask) for at in (below, site))
        yield site_key(site, "input_cosine"), F.cosine_similarity(one, other, dim=-1).mean()
