"""The curvature of the loss along the direction in which it bends most."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from normexp.errors import ConfigError
from normexp.probes.context import ProbeContext, unchanged_buffers
from normexp.probes.probe import Probe, Readings, stack_key
from normexp.probes.spectrum import spectrum


class Sharpness(Probe):
    """largest eigenvalue of the Hessian of the batch's loss, and × lr/2   Cohen et al. 2021

    sharpness, and sharpness_times_lr_over_2 at the rate of the coming update: above 1, plain gradient descent
    overshoots along that direction. Over all parameters, of the unsmoothed loss in nats, with the step's dropout and
    precision (under bf16 good to a percent or so). The largest, not the largest in magnitude: by `iterations` steps of
    Lanczos, which approach it from below.
    A norm whose backward is not its derivative (ada_norm, power_norm) has no Hessian: what is found is no curvature.
    """

    def __init__(self, iterations: int = 20) -> None:
        if iterations < 1:
            raise ConfigError(f"probes.sharpness.iterations={iterations}: 1 or more is right")
        self.iterations = iterations

    def measure(self, context: ProbeContext) -> Readings:
        """NaN where the loss is not finite."""
        parameters = list(context.model.parameters())

        def derivatives(of: Tensor, keep: bool) -> Tensor:
            with unchanged_buffers(context.model):
                found = torch.autograd.grad(
                    of, parameters, create_graph=keep, retain_graph=True, materialize_grads=True
                )
            return torch.cat([each.flatten() for each in found])

        with sdpa_kernel(SDPBackend.MATH):  # the only one whose backward can be differentiated
            gradient = derivatives(context.loss(context.scores(), context.batch.labels), keep=True)
        start = torch.randn(len(gradient), generator=context.generator("sharpness")).to(gradient)
        top = largest_eigenvalue(lambda v: derivatives(gradient @ v, keep=False), start, self.iterations)
        return Readings.of(
            [
                (stack_key("model", "sharpness"), top),
                (stack_key("model", "sharpness_times_lr_over_2"), top * context.lr / 2),
            ]
        )


def largest_eigenvalue(product: Callable[[Tensor], Tensor], start: Tensor, iterations: int) -> Tensor:
    """Of the symmetric matrix that `product` multiplies by: that of its tridiagonal form in the Krylov space of start.

    Only three vectors are kept. Those before them lose their right angles in time, which makes copies of eigenvalues
    that were found already, and no larger ones.   Paige 1972
    """
    tiny = torch.finfo(start.dtype).tiny
    v, earlier, beta = start / torch.linalg.vector_norm(start), torch.zeros_like(start), start.new_zeros(())
    diagonal, beside = [], []
    for _ in range(iterations):
        w = product(v)
        alpha = v @ w
        w = w - alpha * v - beta * earlier
        beta = torch.linalg.vector_norm(w)
        diagonal.append(alpha)
        beside.append(beta)
        earlier, v = v, w / beta.clamp(min=tiny)
    off = torch.stack(beside[:-1]) if iterations > 1 else start.new_zeros(0)
    tridiagonal = torch.diag(torch.stack(diagonal)) + torch.diag(off, 1) + torch.diag(off, -1)
    return spectrum(torch.linalg.eigvalsh, tridiagonal)[-1]
