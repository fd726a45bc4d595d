"""What a linear read-out recovers from the stream: the position of a token, and the next word."""

from typing import ClassVar

import torch
from torch import Tensor

from normexp.errors import ConfigError
from normexp.model.buffers import unchanged_buffers
from normexp.model.stack import Stack
from normexp.model.transformer import Classifier
from normexp.model.variant import Context, Site, Variant
from normexp.norms.norm import at_least_float32
from normexp.probes.context import ProbeContext
from normexp.probes.probe import Probe, Readings, site_key, stack_key

TOKENS_PER_FEATURE = 3  # fitted tokens per feature, at least; convention


class ReadOut(Probe):
    """Ridge regression of the position on the stream, and the model's predictions if its decoder ended here.

    position_r2, for the stream after every site and before the first layer (layer 0): regression of the position on
    standardised features, in float64, fitted on the real tokens of every second text of the batch (the first, third,
    …) and tested on the other texts. With fewer than 3 fitted tokens per feature R² would be that of the penalty: at
    step 1 that raises ConfigError, and at later steps, where a batch may be small by chance, it gives NaN.
    word_nll (nats) and word_accuracy, for a decoder's stream after the last site of every layer (the logit lens of
    nostalgebraist 2020). The variant finishes the stream as it does at the end of the stack; where it shows probes
    only a part of what it carries, the stream is divided by each token's standard deviation instead.
    ridge: λ in mean squared error + λ‖w‖².
    """

    measures = "what a linear read-out recovers from the stream: position (R², 1: exact) and next word (nll, accuracy)"
    good = "neither high nor low in itself"
    statistics: ClassVar[dict[str, str]] = {
        "position_r2": "R² of a linear regression of the token's position on the stream, on held-out texts; 1: exact",
        "word_nll": "loss if the decoder ended after this layer (nats per token)",
        "word_accuracy": "accuracy of the predicted word if the decoder ended after this layer",
    }

    def __init__(self, ridge: float = 1e-2) -> None:
        if not ridge > 0:
            raise ConfigError(f"probes.read_out.ridge must be above 0; got {ridge}")
        self.ridge = ridge

    def measure(self, context: ProbeContext) -> Readings:
        return Readings.of(
            (stack_key(stack.shape.stack, statistic) if site is None else site_key(site, statistic), value)
            for stack in context.model.stacks
            for site, stream in context.streams(stack).items()
            for statistic, value in self._read(stack, site, at_least_float32(stream.detach()), context).items()
        )

    def _read(self, stack: Stack, site: Site | None, stream: Tensor, context: ProbeContext) -> dict[str, Tensor]:
        found = {"position_r2": self._position_r2(stack, stream, context)}
        if stack.shape.stack == "decoder" and site is not None and site is stack.sites_by_layer[site.layer - 1][-1]:
            found |= words(stack, stream, context)
        return found

    def _position_r2(self, stack: Stack, stream: Tensor, context: ProbeContext) -> Tensor:
        mask, (texts, tokens, width) = context.mask_of(stack.shape.stack), stream.shape
        fitted = (texts + 1) // 2 * tokens if mask is None else int(mask[::2].sum())
        if fitted >= TOKENS_PER_FEATURE * width:
            return position_r2(stream, mask, self.ridge)
        if context.step == 1:
            raise ConfigError(
                f"training.batch_tokens must be larger for probe=read_out: half a batch must have at least "
                f"{TOKENS_PER_FEATURE} × model.width = {TOKENS_PER_FEATURE * width} tokens of the {stack.shape.stack}; "
                f"got {fitted}"
            )
        return stream.new_full((), torch.nan)


def words(stack: Stack, stream: Tensor, context: ProbeContext) -> dict[str, Tensor]:
    """Loss and accuracy of the words predicted from a decoder's stream."""
    model, labels, mask = context.model, context.batch.labels, context.mask_of("decoder")
    assert not isinstance(model, Classifier), "a model with a decoder predicts words"
    with torch.no_grad(), unchanged_buffers(model):
        scores = model.predict(closed(stack, stream, mask))
    correct = (scores.argmax(dim=-1) == labels)[mask]
    return {"word_nll": context.loss(scores, labels), "word_accuracy": correct.double().mean()}


def position_r2(stream: Tensor, mask: Tensor | None, ridge: float) -> Tensor:
    """R² of a ridge regression of positions on the stream, on held-out texts; NaN in a batch of one text."""
    texts, tokens, width = stream.shape
    real = torch.ones(texts, tokens, dtype=torch.bool, device=stream.device) if mask is None else mask
    fitted_on = (torch.arange(texts, device=stream.device) % 2 == 0)[:, None]
    position = torch.arange(tokens, dtype=torch.float64, device=stream.device).expand(texts, -1)

    x, y = stream[real & fitted_on].double(), position[real & fitted_on]
    mean, deviation = x.mean(dim=0), x.std(dim=0, correction=0)
    deviation = torch.where(deviation == 0, 1, deviation)
    x = (x - mean) / deviation
    penalised = x.T @ x / len(x) + ridge * torch.eye(width, dtype=x.dtype, device=x.device)
    weights = torch.linalg.solve_ex(penalised, x.T @ (y - y.mean()) / len(x)).result

    x_test, y_test = (stream[real & ~fitted_on].double() - mean) / deviation, position[real & ~fitted_on]
    error = y_test - y.mean() - x_test @ weights
    return 1 - error.square().mean() / (y_test - y_test.mean()).square().mean()


def closed(stack: Stack, stream: Tensor, mask: Tensor | None) -> Tensor:
    """The output of the stack if it ended here; the final norm gets the mask that it gets in a forward."""
    if type(stack.variant).main_stream is not Variant.main_stream:
        return stream / stream.std(dim=-1, correction=0, keepdim=True)
    stack.set_context(Context(mask))
    try:
        return stack.variant.finish_stream(stream)
    finally:
        stack.set_context(Context())
