"""Where two forwards differ: the first tensor of their traces, in words."""

import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

import normexp
from normexp.model.variant import Trace

PACKAGE = Path(normexp.__file__).parent
LIBRARIES = (str(Path(torch.__file__).parent), *(str(PACKAGE / name) for name in ("cards", "model", "training")))

SAME_SHAPE = 1e-5  # of a tensor's largest entry: what rounding may change between equal computations
OTHER_SHAPE = 1e-3  # … and between batches of different shape, which are summed in another order
AT_SITES = {"input": "what {} reads", "branch": "the output of {}", "stream": "the stream after {}"}
AT_STACKS = {"input": "its input", "stream": "its stream before the first layer", "output": "its output"}
Part = Callable[[str, Tensor], Tensor | None]  # what must not change of a named tensor; None: all of it may


def first_change(before: Trace, after: Trace, part: Part, part_after: Part | None, tolerance: float) -> str:
    """The first place, in the order of the forward, whose part changed; empty where none did.

    part_after: the same of the tensors after, where their shape differs.
    """
    for name, one in before.items():
        if not place(name):
            continue
        kept, other = part(name, one), (part_after or part)(name, after[name])
        if kept is not None and other is not None and _differ(kept, other, tolerance):
            return place(name)
    return ""


def _differ(one: Tensor, other: Tensor, tolerance: float) -> bool:
    if not one.numel() or not (one.isfinite().all() and other.isfinite().all()):  # that is another check
        return False
    return bool((one - other).abs().max() > tolerance * torch.maximum(one.abs().max(), other.abs().max()))


def place(name: str) -> str:
    """decoder.03.attention/input → decoder layer 3, what attention reads; empty for what is inside a branch."""
    where, _, what = name.partition("/")
    if name == "logits":
        return "the logits"
    stack, *rest = where.split(".")
    if not rest:
        return f"{stack}, {AT_STACKS[what]}" if what in AT_STACKS else ""
    layer, site = rest
    return f"{stack} layer {int(layer)}, {AT_SITES[what].format(site.replace('_', '-'))}" if what in AT_SITES else ""


def parameter(name: str) -> str:
    """decoder.layers.03.attention.sublayer.key.bias → decoder.03.attention.key.bias, as probes and traces name it."""
    return name.replace(".layers.", ".").replace(".sublayer.", ".")


def listed(names: Iterable[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def error(raised: BaseException) -> str:
    """What a variant's code raised, in one line, with the place in the last file that is not a library's."""
    frames = traceback.extract_tb(raised.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)]
    at = (own or frames)[-1]
    said = " ".join(f"{type(raised).__name__}: {raised}".split())[:300]
    return f"{said} ({Path(at.filename).name}, line {at.lineno})"
