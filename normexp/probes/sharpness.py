"""The largest curvature of the loss, plain and as the optimizer preconditions it."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from normexp.errors import ConfigError
from normexp.model.buffers import unchanged_buffers
from normexp.probes.context import ProbeContext
from normexp.probes.probe import Probe, Readings, stack_key
from normexp.probes.spectrum import spectrum

Product = Callable[[Tensor], Tensor]


class Sharpness(Probe):
    """Largest eigenvalue of the Hessian of the batch's loss, and of the Hessian as Adam preconditions it.

    The Hessian is that of the unsmoothed loss in nats, with respect to all parameters, with the dropout and precision
    of the step (under bf16 accurate to about a percent). Eigenvalues are the largest, not the largest in magnitude,
    from `iterations` steps of Lanczos, which approach them from below.

    sharpness: λ₁(H). sharpness_times_lr_over_2: η·λ₁(H)/2, η the rate of the coming update; above 1, plain gradient
    descent is unstable along that direction (Cohen et al. 2021).
    preconditioned_sharpness: λ₁(P⁻¹H) with P = (1 − β₁ᵗ)·(√v̂ₜ + ε) of the coming update t, as in Cohen et al. 2022
    (arXiv 2207.14484). Second moments are small early, so this is what warm-up acts on.
    preconditioned_sharpness_over_threshold: the same over (2 + 2β₁)/((1 − β₁)·η), which is 38/η for β₁ = 0.9; above 1,
    Adam is unstable. Both only where the optimizer keeps second moments per entry. Exact for Adam and AdamW without
    weight decay; the further corrections of NAdam, RAdam and AMSGrad are not taken into account.

    What has a backward that is not the derivative of its forward has no Hessian, and the value is then not a curvature:
    norm=ada_norm, norm=power_norm, addon=gpas, and addon=sigma_reparam in its second derivative.
    """

    measures = "largest eigenvalue of the Hessian, plain and preconditioned; × lr over its threshold below 1: stable"
    good = "below its threshold: the columns with the learning rate below 1"
    statistics: ClassVar[dict[str, str]] = {
        "sharpness": "largest eigenvalue of the Hessian of the batch's loss",
        "sharpness_times_lr_over_2": "learning rate × sharpness / 2; above 1: plain gradient descent is unstable",
        "preconditioned_sharpness": "largest eigenvalue of the Hessian as Adam preconditions it",
        "preconditioned_sharpness_over_threshold": "preconditioned sharpness over (2 + 2β₁)/((1 − β₁)·lr); above 1: "
        "Adam is unstable",
    }
    paper = "cohen2021"
    reads_grad = True  # for the second moments of the coming update

    def __init__(self, iterations: int = 20, preconditioned: bool = True) -> None:
        if iterations < 1:
            raise ConfigError(f"probes.sharpness.iterations must be at least 1; got {iterations}")
        self.iterations, self.preconditioned = iterations, preconditioned

    def measure(self, context: ProbeContext) -> Readings:
        """Eigenvalues; NaN where the loss is not finite."""
        product, size = hessian_product(context)
        like = next(context.model.parameters())

        def largest(product: Product) -> Tensor:
            start = torch.randn(size, generator=context.generator("sharpness")).to(like)
            return largest_eigenvalue(product, start, self.iterations)

        top = largest(product)
        found = {"sharpness": top, "sharpness_times_lr_over_2": top * context.lr / 2}
        adam = preconditioner(context) if self.preconditioned else None
        if adam is not None:
            diagonal, beta = adam
            scale = diagonal.rsqrt()  # P^−½HP^−½ is symmetric and has the eigenvalues of P⁻¹H
            top = largest(lambda v: scale * product(scale * v))
            found["preconditioned_sharpness"] = top
            threshold = (2 + 2 * beta) / ((1 - beta) * context.lr) if context.lr else float("inf")
            found["preconditioned_sharpness_over_threshold"] = top / threshold
        return Readings.of((stack_key("model", statistic), value) for statistic, value in found.items())


def hessian_product(context: ProbeContext) -> tuple[Product, int]:
    """Multiplication of a vector by the Hessian of the batch's loss, and the number of parameters."""
    parameters = list(context.model.parameters())

    def derivatives(of: Tensor, keep: bool) -> Tensor:
        # The one backend whose backward can be differentiated, also where checkpointed layers are computed again.
        with unchanged_buffers(context.model), sdpa_kernel(SDPBackend.MATH):
            found = torch.autograd.grad(of, parameters, create_graph=keep, retain_graph=True, materialize_grads=True)
        return torch.cat([each.flatten() for each in found])

    with sdpa_kernel(SDPBackend.MATH):
        gradient = derivatives(context.loss(context.scores(), context.batch.labels), keep=True)
    return lambda v: derivatives(gradient @ v, keep=False), len(gradient)


def preconditioner(context: ProbeContext) -> tuple[Tensor, float] | None:
    """The diagonal of Adam's P for the coming update, and β₁; None for other optimizers.   parameter entry

    P = (1 − β₁ᵗ)·(√(vₜ/(1 − β₂ᵗ)) + ε). A parameter that is not updated has P = ∞, and one with a learning rate of
    its own has P divided by that rate over the rate of the run.
    """
    if context.coming_update is None:
        return None
    model, optimizer = context.coming_update()
    if not any("exp_avg_sq" in state for state in optimizer.state.values()):
        return None
    group_of = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    parts: list[Tensor] = []
    for parameter in model.parameters():
        group, state = group_of.get(id(parameter), {}), optimizer.state.get(parameter, {})
        if "exp_avg_sq" not in state:
            parts.append(torch.full_like(parameter, torch.inf).flatten())
            continue
        step, (first, second) = float(state["step"]), group["betas"]
        moments = state["exp_avg_sq"] / (1 - second**step)
        factor = (1 - first**step) * (context.lr / group["lr"] if group["lr"] else 1.0)
        parts.append((factor * (moments.sqrt() + group["eps"])).flatten())
    return torch.cat(parts).detach(), float(optimizer.param_groups[0]["betas"][0])


def largest_eigenvalue(product: Product, start: Tensor, iterations: int) -> Tensor:
    """Largest eigenvalue of the symmetric matrix that `product` multiplies by, by Lanczos in the Krylov space of start.

    Only three vectors are kept. Earlier ones lose their orthogonality in time, which gives copies of eigenvalues that
    were found already, and no larger ones (Paige 1972).
    """
    tiny = torch.finfo(start.dtype).tiny
    v, previous, beta = start / torch.linalg.vector_norm(start), torch.zeros_like(start), start.new_zeros(())
    diagonal, off_diagonal = [], []
    for _ in range(iterations):
        w = product(v)
        alpha = v @ w
        w = w - alpha * v - beta * previous
        beta = torch.linalg.vector_norm(w)
        diagonal.append(alpha)
        off_diagonal.append(beta)
        previous, v = v, w / beta.clamp(min=tiny)
    off = torch.stack(off_diagonal[:-1]) if iterations > 1 else start.new_zeros(0)
    tridiagonal = torch.diag(torch.stack(diagonal)) + torch.diag(off, 1) + torch.diag(off, -1)
    return spectrum(torch.linalg.eigvalsh, tridiagonal)[-1]
