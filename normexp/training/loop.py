"""The loop, top to bottom: train, measure, evaluate, record, and leave a folder that can be resumed."""

import logging
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from normexp.config.schema import Config
from normexp.config.validate import stop_step
from normexp.data.batches import Batch, Batches
from normexp.data.corpus import Corpus
from normexp.errors import DivergedError, StoppedError
from normexp.model.flops import cost
from normexp.model.transformer import Translator
from normexp.probes import graph
from normexp.probes.probe_set import ProbeSet
from normexp.records.atomic import replacing
from normexp.records.folder import RunFolder
from normexp.records.outcome import final_loss, is_stuck, judge_tables, last_validation, train_losses
from normexp.records.samples import GRAPH, write_samples
from normexp.training import evaluate
from normexp.training.recorder import Recorder
from normexp.training.samples import samples
from normexp.training.trainer import Trainer
from normexp.training.trunk import kept_step

log = logging.getLogger("normexp")


class Backward(NamedTuple):
    """What a run asks for before every update: the gradients of a batch, in .grad of its parameters."""

    trainer: Trainer
    batch: Batch


# A run in training: it yields before every backward and is sent the loss if that has been computed, else None.
Steps = Generator[Backward, Tensor | None, None]


def training(folder: RunFolder, config: Config, corpus: Corpus, stop: Callable[[], bool]) -> Steps:
    """Train the run of `folder` to its end, from its checkpoint if it has one, and record the result.

    With steps=0 nothing is trained: the probes measure the initial model.
    stop: asked after every step; if it is true, a checkpoint is written and StoppedError raised.
    """
    trainer = Trainer(config, corpus)
    if folder.checkpoint.is_file():
        trainer.load(folder.checkpoint)
        log.info("resumed after step %d", trainer.done)
    else:
        trainer.calibrate()
    probes = ProbeSet(config)
    recorder = Recorder(folder, trainer)
    if not config.steps:
        return probe_untrained(trainer, probes, recorder, corpus)
    valid = Batches(corpus.examples("valid", config.task.name), config.training.batch_tokens).epoch(None)
    step, site = None, None
    try:
        yield from run_steps(trainer, probes, recorder, valid, stop)
        if not trainer.finite:  # the last update broke the weights, which no training loss shows any more
            step, site = trainer.done, first_nonfinite(folder, config, corpus, trainer.done + 1)
    except DivergedError as error:
        log.info("%s", error)
        recorder.write_tables()
        step, site = error.step, first_nonfinite(folder, config, corpus, error.step)
    found = result(trainer, recorder, corpus) | {"diverged_at": step, "first_to_go": site}
    keep_graph(folder, trainer)
    recorder.finish(found)
    log.info("completed: %s", folder.status["outcome"])


def probe_untrained(trainer: Trainer, probes: ProbeSet, recorder: Recorder, corpus: Corpus) -> None:
    """Measure the model before its first update, and nothing else."""
    batch = next(trainer.data())
    if probes.read_grad:
        loss = trainer.backward(batch)
        context = trainer.probe_context(batch)
    else:
        context = trainer.probe_context(batch)
        loss = context.nll.detach()
    recorder.add_step(1, loss, probes.measure(context))
    found = {"baselines": corpus.baselines_for(trainer.config.task.name), "parameters": parameters(trainer)}
    try:
        recorder.flush()
    except DivergedError as error:
        log.info("%s", error)
        found |= {"diverged_at": error.step, "first_to_go": trainer.first_nonfinite_activation(batch)}
    recorder.write_tables()
    keep_graph(recorder.folder, trainer)
    recorder.finish(found)


def run_steps(
    trainer: Trainer, probes: ProbeSet, recorder: Recorder, valid: Sequence[Batch], stop: Callable[[], bool]
) -> Steps:
    """Train from the trainer's step to the last, or to training.stop_stuck where the run is still stuck there.

    Raises DivergedError at the first loss that is not finite, and StoppedError, with a checkpoint, when asked to stop.
    """
    every, steps, data = trainer.config.record, trainer.config.steps, trainer.data()
    hopeless_at, kept = stop_step(trainer.config), kept_step(trainer.config)
    if trainer.done and trainer.done == hopeless_at and _stuck(trainer, recorder):
        return  # it was killed between its last checkpoint and its end
    while trainer.done < steps:
        if stop():
            if trainer.done:
                recorder.flush()
                recorder.save()
            raise StoppedError(f"stopped after step {trainer.done}")
        step, batch = trainer.done + 1, next(data)
        loss = yield Backward(trainer, batch)
        if loss is None:
            loss = trainer.backward(batch)
        measured = probes.measure(trainer.probe_context(batch)) if probes.due(step) else None
        trainer.update()
        recorder.add_step(step, loss, measured)

        last = step == steps or (step == hopeless_at and _stuck(trainer, recorder))
        evaluates, saves = (last or step % each == 0 for each in (every.evaluate_every, every.checkpoint_every))
        if evaluates or saves or step % every.flush_every == 0:
            recorder.flush()
        if evaluates:
            recorder.add_evaluation(step, evaluate.losses(trainer.model, valid, trainer.device))
        if saves:
            recorder.save(trunk=step == kept)
        if last:
            return


def _stuck(trainer: Trainer, recorder: Recorder) -> bool:
    """Whether the run, up to now, has learned no more than a model that reads nothing."""
    recorder.flush()
    task = trainer.config.task.name
    return is_stuck(task, final_loss(train_losses(recorder.curves.frame())), trainer.corpus.baselines_for(task))


def result(trainer: Trainer, recorder: Recorder, corpus: Corpus) -> dict[str, Any]:
    """The outcome and the numbers behind it, read from the tables. What the model wrote is kept as its samples."""
    config = trainer.config
    curves = recorder.curves.frame()
    valid = last_validation(curves)
    baselines = corpus.baselines_for(config.task.name)
    out = {
        "outcome": judge_tables(config.task.name, curves, baselines, corpus.outputs),
        "final_loss": final_loss(train_losses(curves)),
        "baselines": baselines,
        "parameters": parameters(trainer),
        **cost_of_step(config, corpus),
        "valid_loss": valid.pop("nll", None),
        "permuted_loss": valid.pop("permuted_nll", None),
        **valid,
    }
    written = []
    if out["valid_loss"] is not None:
        examples = corpus.examples("test", config.task.name)[: config.record.sentences]
        budget = 4 * config.training.batch_tokens  # no gradient is kept, so batches may be larger
        written = samples(trainer.model, corpus, examples, budget, trainer.device)
        if isinstance(trainer.model, Translator):
            out |= evaluate.translation_scores(written)
    write_samples(recorder.folder.path, written)
    return out


def keep_graph(folder: RunFolder, trainer: Trainer) -> None:
    """Write the graph that was computed to graph.txt, so that views need neither the model nor the user's classes."""
    try:
        lines = graph.written(trainer.model)
    except Exception as error:  # a run that trained is complete, whatever its code does with symbols
        lines = [f"the graph could not be written as equations: {type(error).__name__}: {error}"]
    with replacing(folder.path / GRAPH) as temporary:
        temporary.write_text("\n".join(lines), "utf-8")


def parameters(trainer: Trainer) -> int:
    return sum(p.numel() for p in trainer.model.parameters())


def cost_of_step(config: Config, corpus: Corpus) -> dict[str, Any]:
    """Tokens and FLOPs by token; nothing where the code of a variant cannot be counted without numbers."""
    try:
        return cost(config, corpus)._asdict()
    except Exception as error:  # a run that trained is complete, whatever its code needs
        log.info("FLOPs could not be counted: %s: %s", type(error).__name__, error)
        return {}


def first_nonfinite(folder: RunFolder, config: Config, corpus: Corpus, step: int) -> str:
    """The first site with a non-finite value: replay from the last checkpoint, bit for bit, to the diverging step.

    Checking every layer at every step would cost more than this ever does.
    """
    trainer = Trainer(config, corpus)
    if folder.checkpoint.is_file():
        trainer.load(folder.checkpoint)
    if not trainer.done or not trainer.finite:  # a checkpoint just after the step that broke the weights is no use
        trainer = Trainer(config, corpus).calibrate()
    data = trainer.data()
    while trainer.done < step - 1:
        trainer.backward(next(data))
        site = trainer.first_nonfinite_gradient()
        trainer.update()
        if site and not trainer.finite:  # that gradient broke the weights, and with them every later forward
            return site
    return trainer.first_nonfinite_activation(next(data))
