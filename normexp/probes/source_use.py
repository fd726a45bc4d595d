"""How much an encoder-decoder uses its source."""

from typing import ClassVar

import torch
from torch import Tensor

from normexp.model.transformer import Translator
from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, stack_key


class SourceUse(Probe):
    """Rise of the loss when sources are permuted, and the loss gradient at the encoder's output.

    Only for encoder-decoders; other models have no rows. source_gap: the loss with every target given its neighbour's
    source, minus the loss; 0 where the source makes no difference, and in a batch of one text. memory_grad_norm: √Σ g²
    over the real tokens of the encoder's output. memory_grad_share: that norm / (that norm + the same norm at the
    decoder's embedded tokens); 0 where the decoder uses only its own tokens, NaN where both norms are 0.
    """

    measures = "rise of the loss when sources are permuted (nats), and the loss gradient at the memory; 0: not used"
    good = "above 0: the source is used"
    statistics: ClassVar[dict[str, str]] = {
        "source_gap": "rise of the loss when sources are permuted within the batch (nats); 0: the source is not used",
        "memory_grad_norm": "norm of the loss gradient at the encoder's output",
        "memory_grad_share": "share of the encoder's output in the gradient norms at it and at the target embedding",
    }

    def measure(self, context: ProbeContext) -> Readings:
        if not isinstance(context.model, Translator):
            return Readings.of(())
        with torch.no_grad():
            permuted = context.loss(context.scores(context.batch.permuted()), context.batch.labels)
        read, written = context.trace["encoder/output"], context.trace["decoder/input"]
        of_read, of_written = context.gradients([read, written])
        memory, own = _norm(of_read, context.mask_of("encoder")), _norm(of_written, context.mask_of("decoder"))
        found = {
            "source_gap": permuted - context.nll,
            "memory_grad_norm": memory,
            "memory_grad_share": memory / (memory + own),
        }
        return Readings.of((stack_key("model", statistic), value) for statistic, value in found.items())


def _norm(gradient: Tensor | None, mask: Tensor | None) -> Tensor:
    """Norm over the real tokens; 0 where the loss does not use the tensor."""
    return torch.zeros(()) if gradient is None else torch.linalg.vector_norm(valid_tokens(gradient, mask))
