"""What is special about the weights that a model starts from."""

import re
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

ROLES = ("embedding", "query", "key", "value", "out", "fc1", "fc2", "head", "bias")
PART = re.compile(r"sublayer\.(?P<role>\w+)\.(?P<part>weight|bias)")  # of a matrix; norms inside lie deeper
OUTSIDE = {"embedding.words.weight": "embedding", "head.weight": "head"}


def scaled(model: nn.Module, other: nn.Module) -> str:
    """Roles whose initial matrices are another model's of the same names times a factor: `value`, or `out=0`.

    `attention.value` where only some kinds of site have it so; `bias` where any bias differs.
    """
    theirs, marks = dict(other.named_parameters()), dict[str, dict[str, set[str]]]()
    for name, parameter in model.named_parameters():
        match, site = PART.search(name), name.split(".")[3:4]
        if name in theirs and (match or name in OUTSIDE):
            role = OUTSIDE[name] if not match else match["role"] if match["part"] == "weight" else "bias"
            mark = mark_of(role, parameter.detach(), theirs[name].detach())
            marks.setdefault(role, {}).setdefault(site[0] if match else "", set()).add(mark)
    texts = []
    for role in (role for role in ROLES if role in marks):
        alike = len({frozenset(here) for here in marks[role].values()}) == 1
        for site, here in marks[role].items():
            texts += [mark if alike else f"{site}.{mark}" for mark in sorted(here) if mark]
    return " ".join(dict.fromkeys(texts)) or "nothing"


def mark_of(role: str, ours: Tensor, theirs: Tensor) -> str:
    if torch.equal(ours, theirs):
        return ""
    factor = ((ours * theirs).sum() / theirs.square().sum()).item()
    if not torch.allclose(ours, factor * theirs, rtol=1e-5, atol=1e-8):
        return f"{role}≠"  # drawn otherwise
    return role if factor else f"{role}=0"


def shared(model: Any) -> list[str]:
    """What two layers have in common: a parameter, or the start of a matrix or bias of one role that is no constant."""
    stacks = ((stack.shape.stack, sites) for stack in model.stacks for sites in stack.sites_by_layer)
    layers = {
        f"{stack}.{sites[0].layer:02d}": [
            (name.removeprefix("sublayer."), site.kind, parameter, bool(PART.fullmatch(name)))
            for site in sites
            for name, parameter in site.named_parameters()
        ]
        for stack, sites in stacks
    }
    found = []
    for one, other in combinations(layers, 2):
        for name, kind, a, of_a_matrix in layers[one]:
            alike = [b for same, _, b, _ in layers[other] if same == name and a.shape == b.shape]
            if any(a is b for *_, b, _ in layers[other]):
                found.append(f"{one} and {other} share {name} of {kind}")
            elif of_a_matrix and not (a == a.flatten()[0]).all() and any(torch.equal(a, b) for b in alike):
                found.append(f"{one} and {other} start alike in {name} of {kind}")
    return found
