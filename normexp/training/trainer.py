"""One model in training: backward, update, and everything that a checkpoint needs to continue bit for bit."""

import copy
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from normexp.config.schema import Config
from normexp.config.validate import warmup_steps
from normexp.data.batches import Batch, Batches
from normexp.data.corpus import Corpus
from normexp.model.build import Model, build, constrain
from normexp.model.initialisers import fold_in
from normexp.model.variant import Trace
from normexp.probes.context import ProbeContext
from normexp.records.intact import sealing
from normexp.training.evaluate import cross_entropy, logits
from normexp.training.optimizers import build_optimizer

AMP = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Trainer:
    """Model, optimizer and data order at a step.

    The order of the data is a function of (seed, epoch), and dropout is one of (seed, step). So a checkpoint needs no
    generator's state: weights, optimizer, scaler and the number of the step are enough.
    """

    def __init__(self, config: Config, corpus: Corpus) -> None:
        self.config, self.corpus = config, corpus
        training = config.training
        self.device = torch.device(training.device)
        self.model = build(config, corpus).to(self.device).train()
        self.forward = torch.compile(self.model) if training.compile else self.model
        self.optimizer = build_optimizer(config.optimizer, self.model, config.lr)
        self.peak_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=training.amp == "fp16")
        self.schedule = config.schedule.factory
        self.warmup = warmup_steps(config.warmup, config.steps)
        self.batches = Batches(corpus.examples("train", config.task.name), training.batch_tokens)
        self.done = 0  # steps

    def calibrate(self) -> "Trainer":
        """Let the variants set their constants from one batch, in training mode, with a separate generator."""
        order = torch.Generator().manual_seed(fold_in(self.config.seed, "calibration"))
        batch = self.batches.epoch(order)[0].to(self.device)

        def forward() -> None:
            torch.manual_seed(fold_in(self.config.seed, "calibration", "dropout"))
            logits(self.model, batch)

        with torch.no_grad():
            for stack in self.model.stacks:
                stack.variant.calibrate(forward)
        return self

    def data(self) -> Iterator[Batch]:
        """The batches from the next step on, without end."""
        epoch, position = divmod(self.done, len(self.batches))
        while True:
            order = torch.Generator().manual_seed(fold_in(self.config.seed, "data", epoch))
            for batch in self.batches.epoch(order)[position:]:
                yield batch.to(self.device)
            epoch, position = epoch + 1, 0

    def rate(self, step: int) -> float:
        """The schedule's factor on the peak rates at a step, counted from 1."""
        factor: float = self.schedule(step, self.warmup, self.config.steps)
        return factor

    def backward(self, batch: Batch) -> Tensor:
        """Gradients of the batch's loss, in .grad; returns the unsmoothed loss, on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        parts = batch.parts(self.config.training.accumulate)
        losses = [self._backward(part, part.tokens / batch.tokens, number) for number, part in enumerate(parts)]
        self.scaler.unscale_(self.optimizer)
        return torch.stack(losses).sum()

    def _backward(self, part: Batch, share: float | Tensor, number: int) -> Tensor:
        """Add the gradients of a part of a batch; returns its part of the loss. share: of the batch's labels."""
        scores = self._logits(self.forward, part, part=number)
        nll = cross_entropy(scores, part.labels)
        smoothing = self.config.training.label_smoothing
        loss = cross_entropy(scores, part.labels, smoothing) if smoothing else nll
        self.scaler.scale(loss * share).backward()
        return nll.detach() * share

    def update(self) -> None:
        """Clip the gradients and take the optimizer's step."""
        self._set_rates()
        if self.config.training.clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.training.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        constrain(self.model)
        self.done += 1

    def probe_context(self, batch: Batch) -> ProbeContext:
        """What probes may read before the step that comes next."""
        self._set_rates()
        return ProbeContext(
            model=self.model,
            batch=batch,
            step=self.done + 1,
            logits=lambda model, batch, trace: self._logits(model, batch, trace=trace),
            loss=cross_entropy,
            updated_model=self.updated_model,
            initial_model=lambda: Trainer(self.config, self.corpus).calibrate().model,
            lr=self.optimizer.param_groups[0]["lr"],
            seed=self.config.seed,
            coming_update=self.coming_update,
        )

    def updated_model(self) -> Model:
        """A copy of the model after the update that its gradients give."""
        return self.coming_update()[0]

    def coming_update(self) -> tuple[Model, torch.optim.Optimizer]:
        """Copies of model and optimizer after the update that the gradients give; neither original changes."""
        model = copy.deepcopy(self.model)
        for ours, its in zip(self.model.parameters(), model.parameters(), strict=True):
            its.grad = None if ours.grad is None else ours.grad.clone()
        if self.config.training.clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.config.training.clip)
        optimizer = build_optimizer(self.config.optimizer, model, self.config.lr)
        optimizer.load_state_dict(copy.deepcopy(self.optimizer.state_dict()))  # it would share the state's tensors
        optimizer.step()
        constrain(model)
        return model, optimizer

    def _set_rates(self) -> None:
        """The rate of every parameter group for the step that comes next. Without training it is the peak rate."""
        factor = self.rate(self.done + 1) if self.config.steps else 1.0
        for group, peak in zip(self.optimizer.param_groups, self.peak_rates, strict=True):
            group["lr"] = peak * factor

    def begin_step(self, model: Any) -> None:
        """Give the model the constants of the step that comes next."""
        for stack in model.stacks:
            stack.on_step_begin(self.done + 1)

    def _logits(self, model: Any, batch: Batch, part: int = 0, **more: Any) -> Tensor:
        """The forward of the step that comes next: with its dropout, its constants, its precision.

        part: its number, from 0, where a batch is in parts, which drop different activations.
        """
        torch.manual_seed(fold_in(self.config.seed, "dropout", self.done + 1, *([part] if part else [])))
        self.begin_step(model)
        amp = self.config.training.amp
        with torch.autocast(self.device.type, AMP.get(amp), amp != "none"):
            return logits(model, batch, **more)

    def first_nonfinite_activation(self, batch: Batch) -> str:
        """The first site, in the forward's order, that is not finite on this batch; output where all of them are."""
        trace: Trace = {}
        self._logits(self.model, batch, trace=trace)
        sites = {site.name for stack in self.model.stacks for site in stack.sites}
        gone = (
            place
            for name, value in trace.items()
            if (place := name.partition("/")[0]) in sites and not value.isfinite().all()
        )
        return next(gone, "output")

    def first_nonfinite_gradient(self) -> str:
        """The first site, in the backward's order, whose gradient is not finite; empty where all of them are."""
        for site in reversed([site for stack in self.model.stacks for site in stack.sites]):
            if any(p.grad is not None and not p.grad.isfinite().all() for p in site.parameters()):
                return site.name
        return ""

    @property
    def finite(self) -> bool:
        """Whether all weights are finite."""
        return all(bool(p.isfinite().all()) for p in self.model.parameters())

    def weights(self) -> dict[str, Tensor]:
        """The model's state. Each tensor has memory of its own, since a file would hold all that slices share."""
        state = self.model.state_dict()
        for name, tensor in state.items():
            if tensor.untyped_storage().nbytes() > tensor.nbytes:
                state[name] = tensor.clone()
        return state

    def save(self, path: Path) -> None:
        """Write a checkpoint, atomically."""
        state = {
            "done": self.done,
            "model": self.weights(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        save(state, path)

    def load(self, path: Path) -> None:
        """Go back to a checkpoint."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.done = state["done"]


def save(state: dict[str, Any], path: Path) -> None:
    """Write tensors to a file, atomically. Raises OSError where the disk refuses.

    Through memory, because PyTorch's own writer does not say why it failed.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with sealing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
