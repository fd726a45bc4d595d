"""What layers are used for: the loss and the work of other layers when some are left out or exchanged."""

from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from normexp.data.batches import IGNORE
from normexp.model.stack import Stack
from normexp.model.variant import Trace
from normexp.norms.norm import at_least_float32
from normexp.probes.context import ProbeContext
from normexp.probes.interventions import cut, exchanged, skipped
from normexp.probes.probe import Probe, Readings, layer_key, layer_name

Layer = tuple[str, int]  # stack, number from 1


class SkipLayer(Probe):
    """Leave out one layer: what that does to the loss, and to what every later layer does.

    The stream goes past the layer; `interventions.skipped` says what that means where a stream is not one tensor.
    skip_rise: the loss without the layer minus the loss.
    What layer k does is the change of the stream, Δ_k = x_k − x_{k−1}, norms on the stream included. skip_map, at layer
    k with the skipped layer as parameter (`decoder.03`): mean ‖Δ′_k − Δ_k‖ / mean ‖Δ_k‖ over the real tokens, with Δ′
    from the model without the layer. The decoder's layers come after all of the encoder's. map=false leaves it out.
    skip_effect, at the skipped layer: mean of skip_map over the later layers of its own stack; no row at the last one.
    One forward per layer. The stream is what `Variant.main_stream` shows.
    """

    measures = "what leaving out a layer does: rise of the loss (nats), and relative change of what later layers do"
    good = "neither high nor low in itself; 0: the layer is not used"
    statistics: ClassVar[dict[str, str]] = {
        "skip_rise": "rise of the loss when the layer is left out (nats); 0: it is not used",
        "skip_effect": "mean relative change of what later layers do when this one is left out; 0: none builds on it",
        "skip_map": "relative change of what layer k does when layer l below is left out; 0: it does not build on it",
    }
    paper = "csordas2025"

    def __init__(self, map: bool = True) -> None:
        self.map = map

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        return Readings.of(row for stack in context.model.stacks for row in self._rows(context, stack))

    def _rows(self, context: ProbeContext, stack: Stack) -> Iterator[tuple[tuple[str, int, str, str, str], Tensor]]:
        name, usual = stack.shape.stack, work(context, context.trace)
        for layer in range(1, stack.shape.depth + 1):
            trace: Trace = {}
            with skipped(stack, {layer}):
                loss = context.loss(context.scores(trace=trace), context.batch.labels)
            yield layer_key(name, layer, "skip_rise"), loss - context.nll
            now = work(context, trace)
            later = list(usual)[list(usual).index((name, layer)) + 1 :]
            changes = {at: _size(now[at] - usual[at]) / _size(usual[at]) for at in later}
            own = [change for (where, _), change in changes.items() if where == name]
            if own:
                yield layer_key(name, layer, "skip_effect"), torch.stack(own).mean()
            if self.map:
                for at, change in changes.items():
                    yield layer_key(*at, "skip_map", layer_name(name, layer)), change


class SwapLayers(Probe):
    """Exchange the weights of two neighbouring layers: what that does to the loss.

    swap_rise, at the lower of the two: the loss with layers l and l + 1 exchanged minus the loss; 0 where their order
    makes no difference. What belongs to the place stays there (`interventions.exchanged`). One forward per pair.
    """

    measures = "rise of the loss when a layer and the next exchange their weights (nats)"
    good = "neither high nor low in itself; 0: their order is not used"
    statistics: ClassVar[dict[str, str]] = {
        "swap_rise": "rise of the loss when this layer and the next exchange their weights (nats); 0: no use of order",
    }
    paper = "csordas2025"

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        nll, changed = context.nll, context.with_model_copy()
        found = []
        for stack in changed.model.stacks:
            for layer in range(1, stack.shape.depth):
                with exchanged(stack, layer, layer + 1):
                    loss = context.loss(changed.scores(), context.batch.labels)
                found.append((layer_key(stack.shape.stack, layer, "swap_rise"), loss - nll))
        return Readings.of(found)


class FirstLayers(Probe):
    """Let a stack end after its first k layers: its prediction there, compared with that of the whole model.

    The variant finishes the stream as it does at the end of the stack, and the other stack stays whole. For a decoder
    this is the logit lens. Layer 0: nothing but what comes before the first layer. The whole stack has no row.
    cut_rise: the loss minus that of the whole model. cut_kl: mean KL(whole ‖ cut) over the tokens that are predicted,
    or over the texts of a classifier. cut_agreement: share of them for which both predict the same.
    """

    measures = "what a stack predicts after its first k layers: rise of the loss, distance from the whole (nats)"
    good = "neither high nor low in itself; a fall to the end: all layers are used"
    statistics: ClassVar[dict[str, str]] = {
        "cut_rise": "rise of the loss when the stack ends after this layer (nats)",
        "cut_kl": "KL divergence of the prediction after this layer from that of the whole model (nats)",
        "cut_agreement": "share of predictions that are the same when the stack ends after this layer; 1: all",
    }
    paper = "csordas2025"

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        labels = context.batch.labels
        whole = predictions(context.scores(), labels)
        found = []
        for stack in context.model.stacks:
            for depth in range(stack.shape.depth):
                with cut(stack, depth):
                    scores = context.scores()
                here = predictions(scores, labels)
                values = {
                    "cut_rise": context.loss(scores, labels) - context.nll,
                    "cut_kl": F.kl_div(here, whole, reduction="batchmean", log_target=True),
                    "cut_agreement": (here.argmax(dim=-1) == whole.argmax(dim=-1)).double().mean(),
                }
                found += [(layer_key(stack.shape.stack, depth, what), value) for what, value in values.items()]
        return Readings.of(found)


def predictions(scores: Tensor, labels: Tensor) -> Tensor:
    """Logarithms of the predicted probabilities wherever there is a label.   prediction, class or word"""
    return at_least_float32(scores)[labels != IGNORE].log_softmax(dim=-1)


def work(context: ProbeContext, trace: Trace) -> dict[Layer, Tensor]:
    """What every layer adds to the stream at the real tokens, in the order of the forward.   token, width"""
    done = {}
    for stack in context.model.stacks:
        streams = context.layer_ends(stack, trace)
        for layer, (before, after) in enumerate(pairwise(streams), start=1):
            done[stack.shape.stack, layer] = after - before
    return done


def _size(x: Tensor) -> Tensor:
    """Mean ‖x‖ over tokens."""
    return torch.linalg.vector_norm(x, dim=-1).mean()
