"""The loop, top to bottom: train, measure, evaluate, record, and leave a folder that can be taken up again."""

import logging
from typing import Any

from normexp.data.batches import Batch, Batches
from normexp.data.corpus import Corpus
from normexp.errors import DivergedError
from normexp.model.transformer import Translator
from normexp.records.folder import RunFolder
from normexp.records.outcome import final_loss, judge
from normexp.training import evaluate
from normexp.training.recorder import Recorder
from normexp.training.trainer import Trainer

log = logging.getLogger("normexp")


def train(folder: RunFolder, config: dict[str, Any], corpus: Corpus) -> None:
    """Train the run of `folder` to its end, from its checkpoint where it has one, and record the result.

    With steps=0 there is nothing to train: the probes look at the model as it starts.
    """
    trainer = Trainer(config, corpus)
    if folder.checkpoint.is_file():
        trainer.load(folder.checkpoint)
        log.info("resumed after step %d", trainer.done)
    else:
        trainer.calibrate()
    recorder = Recorder(folder, trainer)
    if not config["steps"]:
        return look(trainer, recorder, corpus)
    valid = Batches(corpus.examples("valid", config["task"]["name"]), config["training"]["batch_tokens"]).epoch(None)
    diverged: dict[str, Any] = {"diverged_at": None, "first_to_go": None}
    try:
        run_steps(trainer, recorder, valid)
    except DivergedError as end:
        log.info("%s", end)
        recorder.write_tables()
        diverged = {"diverged_at": end.step, "first_to_go": first_to_go(folder, config, corpus, end.step)}
    recorder.finish(result(trainer, recorder, corpus) | diverged)
    log.info("completed: %s", folder.status["outcome"])


def look(trainer: Trainer, recorder: Recorder, corpus: Corpus) -> None:
    """Measure the model before its first update, and no more."""
    batch, probes = next(trainer.data()), recorder.probes
    if any(probe.reads_grad for probe in probes.probes.values()):
        seen = trainer.look(batch, probes.measure)
    else:
        moment = trainer.probe_context(batch)
        seen = moment.nll.detach(), probes.measure(moment)
    recorder.add_step(1, *seen)
    recorder.flush()
    recorder.write_tables()
    recorder.finish({"baselines": corpus.baselines, "parameters": sum(p.numel() for p in trainer.model.parameters())})


def run_steps(trainer: Trainer, recorder: Recorder, valid: list[Batch]) -> None:
    """From the trainer's step to the last."""
    config = trainer.config["record"]
    steps, data = trainer.config["steps"], trainer.data()
    while trainer.done < steps:
        step = trainer.done + 1
        measure = recorder.probes.measure if recorder.probes.due(step) else None
        recorder.add_step(step, *trainer.step(next(data), measure))

        def due(every: str, step: int = step) -> bool:
            return step == steps or step % config[every] == 0

        if due("flush_every") or due("checkpoint_every"):
            recorder.flush()
        if due("evaluate_every"):
            recorder.add_evaluation(step, evaluate.losses(trainer.model, valid, trainer.device))
        if due("checkpoint_every"):
            recorder.save()


def result(trainer: Trainer, recorder: Recorder, corpus: Corpus) -> dict[str, Any]:
    """The outcome and the numbers behind it, read off the tables."""
    curves = recorder.curves.frame()
    nll = curves[(curves["split"] == "train") & (curves["statistic"] == "nll")]["value"].tolist()
    last = curves[(curves["split"] == "valid") & (curves["step"] == trainer.config["steps"])]
    valid = dict(zip(last["statistic"], last["value"], strict=True))
    gap = valid["permuted_nll"] - valid["nll"] if "permuted_nll" in valid else None
    out = {
        "outcome": judge(trainer.config["task"]["name"], nll, corpus.baselines, gap),
        "final_loss": final_loss(nll),
        "baselines": corpus.baselines,
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "valid_loss": valid.pop("nll", None),
        "permuted_loss": valid.pop("permuted_nll", None),
        **valid,
    }
    if isinstance(trainer.model, Translator) and last.size:
        examples = corpus.examples("test")[: trainer.config["record"]["sentences"]]
        budget = 4 * trainer.config["training"]["batch_tokens"]  # no gradient is kept, so batches may be larger
        out |= evaluate.translation_scores(trainer.model, corpus, examples, budget, trainer.device)
    return out


def first_to_go(folder: RunFolder, config: dict[str, Any], corpus: Corpus, step: int) -> str:
    """Repeat the steps since the last checkpoint, which are the same to the bit, up to the one that diverged.

    A look at every layer at every step would cost more than this ever does.
    """
    trainer = Trainer(config, corpus)
    if folder.checkpoint.is_file():
        trainer.load(folder.checkpoint)
    else:
        trainer.calibrate()
    data = trainer.data()
    while trainer.done < step - 1:
        _, gone = trainer.step(next(data), trainer.first_nonfinite_gradient)
        if gone and not trainer.finite:  # that gradient broke the weights, and with them every later forward
            return gone
    return trainer.first_nonfinite_activation(next(data))
