"""What a training step costs, counted on a model without numbers: the same on every machine."""

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from normexp.config.schema import Config
from normexp.data.batches import Batches
from normexp.data.corpus import Corpus
from normexp.model.build import build


class Cost(NamedTuple):
    """Of a training step.

    tokens_per_step: source and target tokens of a batch, padding included, mean over an epoch.
    flops_per_token: FLOPs of forward and backward over the same tokens, two for a multiply-add. Only products of
    matrices are counted, as is usual: no norms, no softmax, no optimizer. The backward has two for each of the forward.
    Attention costs more in longer texts; the batch of median length is the one that is counted.
    """

    tokens_per_step: float
    flops_per_token: float


def cost(config: Config, corpus: Corpus) -> Cost:
    """Build the model on the meta device and run it there.

    Raises whatever the code of a variant raises where it needs numbers.
    """
    batches = Batches(corpus.examples("train", config.task.name), config.training.batch_tokens)
    middle = batches.epoch(None)[len(batches) // 2]
    batch = middle.to("meta")
    with torch.device("meta"):
        model = build(config, corpus).train()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(batch.source, batch.source_mask, batch.target, target_mask=batch.target_mask)
    return Cost(batches.tokens_per_batch, 3 * counter.get_total_flops() / batch.size)
