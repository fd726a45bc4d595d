"""What a linear read-out recovers from the stream on its way: a token's position, and the word to be written."""

import torch
from torch import Tensor

from normexp.errors import ConfigError
from normexp.model.stack import Stack
from normexp.model.transformer import Classifier
from normexp.model.variant import Context, Site, Variant
from normexp.norms.norm import at_least_float32
from normexp.probes.context import ProbeContext, unchanged_buffers
from normexp.probes.probe import Probe, Readings, site_key, stack_key


class ReadOut(Probe):
    """R² of a token's position, and nll and accuracy of the word to be written   nostalgebraist 2020 (logit lens)

    position_r2, of the stream after every site and before the first layer (layer 0): ridge regression of the position
    on standardised features, in float64; fitted on the real tokens of every other text of the batch, the first among
    them, and tested on those of the others; nan in a batch of one text.
    word_nll (nats) and word_accuracy, of a decoder's stream after the last site of every layer: what the model would
    predict if its decoder ended there. The stream is closed by its variant, as at the end; where the variant shows
    probes only a part of what it carries, it is divided by each token's standard deviation instead.
    ridge: λ in mean squared error + λ‖w‖².
    """

    def __init__(self, ridge: float = 1e-2) -> None:
        if not ridge > 0:
            raise ConfigError(f"probes.read_out.ridge={ridge}: a number above 0 is right")
        self.ridge = ridge

    def measure(self, context: ProbeContext) -> Readings:
        return Readings.of(
            (stack_key(stack.shape.stack, statistic) if site is None else site_key(site, statistic), value)
            for stack in context.model.stacks
            for site, stream in context.streams(stack).items()
            for statistic, value in self._read(stack, site, at_least_float32(stream.detach()), context).items()
        )

    def _read(self, stack: Stack, site: Site | None, stream: Tensor, context: ProbeContext) -> dict[str, Tensor]:
        found = {"position_r2": position_r2(stream, context.mask_of(stack.shape.stack), self.ridge)}
        if stack.shape.stack == "decoder" and site is not None and site is stack.sites_by_layer[site.layer - 1][-1]:
            found |= words(stack, stream, context)
        return found


def words(stack: Stack, stream: Tensor, context: ProbeContext) -> dict[str, Tensor]:
    """How well the words to be written are predicted from a decoder's stream."""
    model, labels, mask = context.model, context.batch.labels, context.mask_of("decoder")
    assert not isinstance(model, Classifier), "a model with a decoder predicts words"
    with torch.no_grad(), unchanged_buffers(model):
        scores = model.predict(closed(stack, stream, mask))
    right = (scores.argmax(dim=-1) == labels)[mask]
    return {"word_nll": context.loss(scores, labels), "word_accuracy": right.double().mean()}


def position_r2(stream: Tensor, mask: Tensor | None, ridge: float) -> Tensor:
    """Share of the variance of positions that a ridge regression on the stream explains in texts not fitted on."""
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
    """The stack's output if it ended here; the last norm finds the mask that it finds in a forward."""
    if type(stack.variant).main_stream is not Variant.main_stream:
        return stream / stream.std(dim=-1, correction=0, keepdim=True)
    stack.set_context(Context(mask))
    try:
        return stack.variant.finish_stream(stream)
    finally:
        stack.set_context(Context())
