"""Whether an encoder-decoder uses its source."""

import torch
from torch import Tensor

from normexp.model.transformer import Translator
from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, stack_key


class SourceUse(Probe):
    """loss beside another source minus loss, nats, and √Σ g² of the loss gradient at the memory   ours

    Of an encoder-decoder; other models have no rows. source_gap: every target of the batch stands beside its
    neighbour's source; 0 where the source makes no difference, or in a batch of one text. memory_grad_norm, over the
    real tokens of the encoder's output; memory_grad_share, that norm / (it + the same norm at the decoder's embedded
    tokens), between 0 where the decoder's output comes from its own tokens alone and 1; nan where both are 0.
    """

    def measure(self, context: ProbeContext) -> Readings:
        if not isinstance(context.model, Translator):
            return Readings.of(())
        with torch.no_grad():
            beside_another = context.loss(context.scores(context.batch.permuted()), context.batch.labels)
        read, written = context.trace["encoder/output"], context.trace["decoder/input"]
        of_read, of_written = context.gradients([read, written])
        memory, own = _norm(of_read, context.mask_of("encoder")), _norm(of_written, context.mask_of("decoder"))
        found = {
            "source_gap": beside_another - context.nll,
            "memory_grad_norm": memory,
            "memory_grad_share": memory / (memory + own),
        }
        return Readings.of((stack_key("model", statistic), value) for statistic, value in found.items())


def _norm(gradient: Tensor | None, mask: Tensor | None) -> Tensor:
    """0 where the loss does not come from that tensor."""
    return torch.zeros(()) if gradient is None else torch.linalg.vector_norm(valid_tokens(gradient, mask))
