"""What a variant must fulfil before it is worth training, checked on any variant in seconds."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import torch

from normexp.cards.batch import independent_of_batch
from normexp.cards.case import Case
from normexp.cards.finding import Check, Finding, Found, State
from normexp.cards.future import reads_no_future
from normexp.cards.gradients import DEEP, SHALLOW, finite, reach_every_parameter, runs
from normexp.cards.places import error
from normexp.cards.repeat import same_twice, survives_save_and_load
from normexp.cards.residual import joined_in_every_layer
from normexp.config.schema import Config

RUNS = Check("It runs, forward and backward", "It does not run", runs)
CHECKS = (
    Check("It reads no future token", "It reads future tokens", reads_no_future),
    Check("It is independent of the rest of the batch", "It depends on the rest of the batch", independent_of_batch),
    Check(
        f"Its gradients are finite at {SHALLOW} and {DEEP} layers",
        f"Its gradients are not finite at {SHALLOW} and {DEEP} layers",
        finite,
    ),
    Check("Every parameter gets a gradient", "Not every parameter gets a gradient", reach_every_parameter),
    Check("It gives the same result twice", "It does not give the same result twice", same_twice),
    Check("It survives save and load", "It does not survive save and load", survives_save_and_load),
    Check(
        "All layers join the residual stream alike",
        "Not all layers join the residual stream alike",
        joined_in_every_layer,
    ),
)


def check(config: Config, tasks: Sequence[str]) -> list[Finding]:
    """The findings of all checks, in a fixed order, over one model per task.

    On the CPU, whatever device trains it. The global random generator keeps its state.
    """
    cases = [Case.of(config, task) for task in tasks]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the user's code; what is wrong with it, a check says
        findings = [_over(RUNS, cases)]
        for each in CHECKS:
            skipped = findings[0].state is not State.PASSES
            findings.append(Finding(each, State.SKIPPED) if skipped else _over(each, cases))
    return findings


def _over(check: Check, cases: Sequence[Case]) -> Finding:
    """The finding over several models: it fails if it fails in one of them."""
    found = {case.called: _found(check, case) for case in cases}
    where = _said({called: each.where for called, each in found.items()})
    note = _said({called: each.note for called, each in found.items()})
    return Finding(check, State.FAILS if where else State.PASSES, where, "" if where else note)


def _found(check: Check, case: Case) -> Found:
    """What a check finds. Copies of a model take as long as all the rest, so they are made only if it fails.

    A model that keeps something from one forward to the next fails without them for a reason that is another check's.
    """
    found = _safely(check, case)
    return _safely(check, replace(case, copies=True)) if found.where else found


def _safely(check: Check, case: Case) -> Found:
    try:
        return check.find(case)
    except Exception as raised:  # whatever a user's code does
        return Found(error(raised))


def _said(texts: dict[str, str]) -> str:
    """What was found: the first text where there is one of every model, else those there are, each with its model."""
    if all(texts.values()):
        return next(iter(texts.values()))
    return "; ".join(f"{text} (only {called})" for called, text in texts.items() if text)
