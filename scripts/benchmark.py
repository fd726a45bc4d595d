"""Time and memory of what must stay fast, as Markdown tables; exit code 1 where a check fails.

    python scripts/benchmark.py thousand_layers

Each section is a function of this name; without a name all are run. Numbers are of this machine, on this day.
"""

import argparse
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from normexp.config.compose import Composer
from normexp.config.schema import Config
from normexp.data.batches import Batch
from normexp.data.corpus import load_corpus
from normexp.model.variant import Context
from normexp.probes.probe import Probe
from normexp.probes.probe_set import ProbeSet
from normexp.studies.statistics import r_squared
from normexp.sweep.plan import plan
from normexp.training.evaluate import logits
from normexp.training.stacked import Stacked
from normexp.training.trainer import Trainer

TOKENS, STEPS, LR = 16, 20, "1e-4"
SECTIONS = {}


def section(function):
    SECTIONS[function.__name__] = function
    return function


@section
def thousand_layers(depth: int = 1000) -> bool:
    """deep_norm and pre_ln of 1,000 + 1,000 layers: finite gradients everywhere, and a loss that falls.

    Width 64, 4 heads, feed-forward 256, Xavier weights, 16 tokens of source and of target, 20 Adam steps at 1e-4 on one
    batch. Each in a process of its own, so that memory is its own.
    """
    print(f"\n### {depth:,} + {depth:,} layers (width 64, {TOKENS} + {TOKENS} tokens, {STEPS} Adam steps at lr {LR})\n")
    columns = "variant | precision | parameters | tensors with gradient 0 | smallest, largest gradient norm"
    print(f"| {columns} | loss, first → last | s per step | peak memory | holds |")
    print("|---" * 9 + "|", flush=True)
    good = True
    for variant in ("deep_norm", "pre_ln"):
        for amp in ("none", "bf16"):
            pid = os.fork()
            if not pid:
                os._exit(0 if _thousand_layers(variant, amp, depth) else 1)
            good &= os.waitpid(pid, 0)[1] == 0
    return good


def _thousand_layers(variant: str, amp: str, depth: int) -> bool:
    overrides = [
        f"variant={variant}",
        f"depth={depth}",
        f"training.amp={amp}",
        f"lr={LR}",
        "schedule=constant",
        "warmup=0",
    ]
    config = one_config([*overrides, f"steps={STEPS}", "data.pairs=200", "training.device=cpu"])
    corpus = load_corpus(config.data)
    trainer = Trainer(config, corpus)
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randint(4, len(corpus.vocabulary), (2, 1, TOKENS + 1), generator=generator)
    batch = Batch(source[:, 1:], None, target[:, :-1], target[:, 1:], TOKENS)
    trainer.backward(batch)
    norms = _gradient_norms(trainer)
    start = time.perf_counter()
    losses = torch.stack([_step(trainer, batch) for _ in range(STEPS)])
    seconds = (time.perf_counter() - start) / STEPS
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    zero = int((norms == 0).sum())
    holds = bool(norms.isfinite().all() and losses.isfinite().all()) and zero == 0 and losses[-1] < losses[0]
    count = sum(p.numel() for p in trainer.model.parameters())
    print(
        f"| {variant} | {'float32' if amp == 'none' else 'bfloat16'} | {count:,} | {zero} of {len(norms):,} "
        f"| {norms.min():.1e}, {norms.max():.1e} | {losses[0]:.3f} → {losses[-1]:.3f} | {seconds:.1f} "
        f"| {gigabytes:.1f} GiB | {'yes' if holds else 'no'} |",
        flush=True,
    )
    return holds


def one_config(overrides: list[str]) -> Config:
    """The config of `normexp train` with these overrides."""
    return plan("train", overrides).runs[0].config


def _step(trainer: Trainer, batch: Batch, probe: Probe | None = None) -> Tensor:
    """One training step, measured by a probe between backward and update."""
    loss = trainer.backward(batch)
    if probe:
        probe.measure(trainer.probe_context(batch))
    trainer.update()
    return loss


def _gradient_norms(trainer: Trainer) -> Tensor:
    return torch.stack([p.grad.norm() if p.grad is not None else torch.zeros(()) for p in trainer.model.parameters()])


@section
def probes(depth: int = 18) -> bool:
    """What probes cost at depth 18 of the default regime: nothing when off, gradient norms every step at most 2 %.

    Steps with and without are taken in turn, so that noise of the machine hits both alike; a ratio is the median of the
    ratios of neighbours.
    """
    overrides = [f"depth={depth}", "training.device=cpu", "steps=1000"]
    names = Composer("train").options("probe")
    config = one_config([*overrides, f"probe=[{','.join(names)}]"])
    trainer = Trainer(config, load_corpus(config.data))
    chosen, batch = ProbeSet(config).probes, next(trainer.data())
    gradient = chosen["gradient_norm"]

    def step(probe: Probe | None = None) -> Callable[[], Any]:
        return lambda: _step(trainer, batch, probe)

    def capturing_nothing() -> None:
        """A step whose forward captures nothing."""
        capture, Context.capture = Context.capture, lambda self, name, value: value  # type: ignore[method-assign]
        try:
            _step(trainer, batch)
        finally:
            Context.capture = capture  # type: ignore[method-assign]

    rounds = 60
    without, off, on = in_turn(capturing_nothing, step(), step(gradient), rounds=rounds)
    slower = {"off": ratio(off, without), "on": ratio(on, off)}
    sizes = f"width 64, {batch.tokens} target tokens, {rounds} of each in turn"
    print(f"\n### Probes at {depth} + {depth} layers ({sizes})\n")
    print("| | s per step | ratio |\n|---|---|---|")
    print(f"| forward that captures nothing | {statistics.median(without):.3f} | 1 |")
    print(f"| probes off | {statistics.median(off):.3f} | {slower['off']:.3f} of the line above |")
    print(f"| gradient norms, every step | {statistics.median(on):.3f} | {slower['on']:.3f} of the line above |")
    print("\n| one measurement of | s | in steps |\n|---|---|---|", flush=True)
    trainer.backward(batch)
    for name, probe in chosen.items():
        if probe is not gradient:
            (times,) = in_turn(lambda probe=probe: probe.measure(trainer.probe_context(batch)), rounds=3)
            seconds = statistics.median(times)
            print(f"| {name} | {seconds:.2f} | {seconds / statistics.median(off):.1f} |", flush=True)
    return slower["on"] <= 1.02


@section
def recompute(depth: int = 1000) -> bool:
    """Activation checkpointing at 1,000 layers: at most a tenth of the activations are kept, at what price in time.

    An encoder that classifies, one batch of 16 tokens. Bytes are those that autograd keeps for the backward, without
    the parameters.
    """
    line = ["task=classification", "variant=pre_ln", f"depth={depth}", "training.device=cpu", "data.phrases=40"]
    trainers = [_trainer([*line, f"training.activation_checkpointing={on}"]) for on in ("false", "true")]
    source, label = torch.randint(4, 20, (1, TOKENS)), torch.zeros(1, dtype=torch.int64)
    batch = Batch(source, None, None, label, 1)
    plain, again = (kept_bytes(trainer, batch) for trainer in trainers)
    times = in_turn(*(lambda trainer=trainer: _step(trainer, batch) for trainer in trainers), rounds=5)
    slower = ratio(times[1], times[0])
    print(f"\n### Activation checkpointing at {depth:,} layers (width 64, {TOKENS} tokens)\n")
    print("| | activations kept | s per step |\n|---|---|---|")
    print(f"| off | {plain / 2**20:.1f} MiB | {statistics.median(times[0]):.2f} |")
    print(f"| on | {again / 2**20:.1f} MiB | {statistics.median(times[1]):.2f} |")
    print(f"| on / off | {again / plain:.3f} | {slower:.2f} |", flush=True)
    return again <= 0.1 * plain


@section
def depths(depth: int = 1000) -> bool:
    """Time of a step and activations in depth, from 6 to 1,000 layers: a + b · depth."""
    counts = [each for each in (6, 12, 25, 50, 100, 200, 400, 1000) if each <= depth]
    source, label = torch.randint(4, 20, (1, TOKENS)), torch.zeros(1, dtype=torch.int64)
    batch = Batch(source, None, None, label, 1)
    line = ["task=classification", "variant=pre_ln", "training.device=cpu", "data.phrases=40"]
    trainers = [_trainer([*line, f"depth={each}"]) for each in counts]
    times = in_turn(*(lambda trainer=trainer: _step(trainer, batch) for trainer in trainers), rounds=7)
    seconds, kept = [min(each) for each in times], [kept_bytes(trainer, batch) for trainer in trainers]
    print(f"\n### A step in depth (width 64, {TOKENS} tokens, the fastest of 7)\n")
    print("| layers | s per step | activations kept |\n|---|---|---|")
    for count, second, size in zip(counts, seconds, kept, strict=True):
        print(f"| {count:,} | {second:.4f} | {size / 2**20:.2f} MiB |")
    fits = [r_squared(counts, seconds), r_squared(counts, kept)]
    print(f"| R² of a straight line | {fits[0]:.5f} | {fits[1]:.5f} |", flush=True)
    return min(fits) > 0.999


@section
def stacked(depth: int = 12) -> bool:
    """Runs as one batched model, compared with one after the other: steps of all runs per second.

    Decoders of the default width on docstrings, which differ in seed, so that batches are padded to the largest, or in
    rate alone. The device is a GPU where there is one.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    line = ["task=language_modelling", "variant=pre_ln", f"training.device={device}"]
    print(f"\n### Stacked runs on {torch.cuda.get_device_name() if device == 'cuda' else 'a CPU'}\n")
    print("| layers | runs | differ in | s per step, one after the other | as one model | ratio |")
    print("|---" * 6 + "|", flush=True)
    for layers in (6, depth):
        for runs, key in ((5, "seed"), (5, "lr"), (16, "seed")):
            keys = [f"seed={run}" if key == "seed" else f"lr={1e-4 * (run + 1)}" for run in range(runs)]
            apart, together = ([_trainer([*line, f"depth={layers}", each]) for each in keys] for _ in range(2))
            ways = [_one_after_the_other(apart, wait), _as_one_model(together, wait)]
            in_turn(*ways, rounds=3)  # the first steps allocate
            times = in_turn(*ways, rounds=15)
            print(
                f"| {layers} | {runs} | {key} | {statistics.median(times[0]):.3f} | {statistics.median(times[1]):.3f} "
                f"| {ratio(times[0], times[1]):.2f} |",
                flush=True,
            )
    return True


def _one_after_the_other(trainers: list[Trainer], wait: Callable[[], Any]) -> Callable[[], None]:
    """A step of each trainer. wait: for the device."""
    data = [trainer.data() for trainer in trainers]

    def step() -> None:
        for trainer, batches in zip(trainers, data, strict=True):
            _step(trainer, next(batches))
        wait()

    return step


def _as_one_model(trainers: list[Trainer], wait: Callable[[], Any]) -> Callable[[], None]:
    """The same with one forward and one backward."""
    data, batched = [trainer.data() for trainer in trainers], Stacked(trainers)

    def step() -> None:
        batched.backward([next(batches) for batches in data])
        for trainer in trainers:
            trainer.update()
        wait()

    return step


def _trainer(overrides: list[str]) -> Trainer:
    config = one_config([*overrides, "steps=1000"])
    return Trainer(config, load_corpus(config.data))


def kept_bytes(trainer: Trainer, batch: Batch) -> int:
    """What autograd keeps of a forward for the backward, without the parameters."""
    parameters = {p.untyped_storage().data_ptr() for p in trainer.model.parameters()}
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = logits(trainer.model, batch)
    assert scores.requires_grad
    return sum(sizes.values())


def in_turn(*actions: Callable[[], Any], rounds: int) -> list[list[float]]:
    """Seconds of each action in every round; all of them are taken once per round."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for action, own in zip(actions, times, strict=True):
            start = time.perf_counter()
            action()
            own.append(time.perf_counter() - start)
    return times


def ratio(times: list[float], others: list[float]) -> float:
    """Median of time over time, round by round."""
    return statistics.median(a / b for a, b in zip(times, others, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", nargs="*", choices=[*SECTIONS, []], help=", ".join(SECTIONS))
    parser.add_argument("--depth", type=int, help="layers, where the section's own number is too many")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"
    )
    depth = {"depth": asked.depth} if asked.depth else {}
    good = [SECTIONS[name](**depth) for name in asked.section or SECTIONS]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
