"""What a whole stack does to small changes of its input."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from normexp.errors import ConfigError
from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, stack_key
from normexp.probes.spectrum import spectrum


class StackJacobian(Probe):
    """singular values of ∂ output/∂ input of a stack, for one text   Pennington et al. 2017, Bachlechner et al. 2020

    jacobian_max, jacobian_min and jacobian_mean_square, the mean of the squared ones. Input and output are the vectors
    of all tokens of the batch's first text, as if it ended after `tokens` real ones, so the matrix has tokens × width
    rows. A decoder's memory is that of the whole source, held fixed. Input and memory are those of the step; the stack
    between them and the output runs as in evaluation, in float32 or better: no dropout inside, and pooled statistics
    are the running ones. A LayerNorm that closes it takes two directions from every token: jacobian_min is then 0 but
    for rounding and eps. Costs `tokens` forwards and backwards of `width` texts each: for small widths.
    """

    def __init__(self, tokens: int = 8) -> None:
        if tokens < 1:
            raise ConfigError(f"probes.jacobian.tokens={tokens}: 1 or more is right")
        self.tokens = tokens

    def measure(self, context: ProbeContext) -> Readings:
        """NaN where the Jacobian is not finite."""
        model = context.with_model_copy().model.eval().requires_grad_(False)  # no graph is kept for the weights

        def text(name: str, stack: str) -> Tensor:
            mask = context.mask_of(stack)
            return valid_tokens(context.trace[name][:1].detach(), mask if mask is None else mask[:1])

        found = []
        for stack in model.stacks:
            stack.variant.on_step_begin(context.step)
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
    """∂ function(x)/∂ x for one text, by batches of `width` copies of it.   token, width → token·width, token·width

    function: batch, token, width → the same, each text by itself.
    """
    tokens, width = x.shape
    rows = []
    for token in range(tokens):
        copies = x.repeat(width, 1, 1).requires_grad_()
        answers = function(copies)[:, token].diagonal()  # the i-th copy answers for channel i
        rows.append(torch.autograd.grad(answers.sum(), copies)[0].reshape(width, tokens * width))
    return torch.cat(rows)
