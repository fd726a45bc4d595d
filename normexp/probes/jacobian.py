"""Singular values of the Jacobian of a whole stack."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from normexp.errors import ConfigError
from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, stack_key
from normexp.probes.spectrum import spectrum


class StackJacobian(Probe):
    """Singular values of ∂ output/∂ input of every stack, for one text.

    Input and output are the vectors of all tokens of the batch's first text, cut off after `tokens` real tokens, so
    the matrix has tokens × width rows. The decoder's memory comes from the whole source and is held fixed. Input and
    memory are those of the step; the stack itself runs as in evaluation, in at least float32: without dropout, and
    with running statistics where a norm pools over the batch. A final LayerNorm removes two directions per token, so
    that jacobian_min is then 0 up to rounding and eps. See also Bachlechner et al. 2020.
    tokens: number of tokens. The cost is `tokens` forwards and backwards of `width` texts each; use small widths.
    """

    measures = "singular values of a stack's input–output Jacobian; mean square near 1: signals keep their size"
    good = "mean square near 1"
    statistics: ClassVar[dict[str, str]] = {
        "jacobian_max": "largest singular value of the stack's Jacobian, for one text",
        "jacobian_min": "smallest singular value of the stack's Jacobian, for one text",
        "jacobian_mean_square": "mean squared singular value of the stack's Jacobian; 1: isometric on average",
    }
    paper = "pennington2017"

    def __init__(self, tokens: int = 8) -> None:
        if tokens < 1:
            raise ConfigError(f"probes.jacobian.tokens must be at least 1; got {tokens}")
        self.tokens = tokens

    def measure(self, context: ProbeContext) -> Readings:
        """Singular values of every stack; NaN where the Jacobian is not finite."""
        model = context.with_model_copy().model.eval().requires_grad_(False)  # so that no graph is kept for the weights

        def text(name: str, stack: str) -> Tensor:
            mask = context.mask_of(stack)
            return valid_tokens(context.trace[name][:1].detach(), mask if mask is None else mask[:1])

        found = []
        for stack in model.stacks:
            stack.on_step_begin(context.step)
            name, memory = stack.shape.stack, None
            if name == "decoder" and "encoder/output" in context.trace:
                memory = text("encoder/output", "encoder").expand(stack.shape.width, -1, -1)
            matrix = jacobian(partial(stack, memory=memory), text(f"{name}/input", name)[: self.tokens])
            values = spectrum(torch.linalg.svdvals, matrix)
            found += [
                (stack_key(name, "jacobian_max"), values[0]),
                (stack_key(name, "jacobian_min"), values[-1]),
                (stack_key(name, "jacobian_mean_square"), values.square().mean()),
            ]
        return Readings.of(found)


def jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """∂ function(x)/∂ x for one text, from batches of `width` copies.   token, width → token·width, token·width

    function: batch, token, width → batch, token, width, each text by itself.
    """
    tokens, width = x.shape
    rows = []
    for token in range(tokens):
        copies = x.repeat(width, 1, 1).requires_grad_()
        answers = function(copies)[:, token].diagonal()  # copy i gives channel i
        rows.append(torch.autograd.grad(answers.sum(), copies)[0].reshape(width, tokens * width))
    return torch.cat(rows)
