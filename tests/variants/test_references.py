"""Every variant of configs/variant computes what its paper says, by an independent reference; a slip would be seen."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.config.schema import TASKS
from tests.support.configs import node_of, small_config
from tests.support.references import blocks
from tests.support.references.blocks import Weights

FAMILIES = sorted(p.stem for p in Path(blocks.__file__).parent.glob("*.py") if p.stem not in ("blocks", "__init__"))
MODULES = [import_module(f"tests.support.references.{name}") for name in FAMILIES]
REFERENCES: dict[str, Callable[[Tensor, Weights], Tensor]] = {k: f for m in MODULES for k, f in m.REFERENCES.items()}
MUTATIONS: dict[str, Callable[[Tensor, Weights], Tensor]] = {k: f for m in MODULES for k, f in m.MUTATIONS.items()}
VARIANTS = sorted(Composer("train").options("variant"))
# Unequal depths, so that a constant made from the wrong one of the two shows.
DEPTHS = {"encoder_depth": 3, "decoder_depth": 4}


def node(name: str) -> dict[str, Any]:
    """The variant's group as its YAML has it."""
    return node_of("variant", name)


def model_of(name: str, task: str) -> Any:
    """Float64, with every bias, gain and scalar moved off its start, so that none can be left out unseen."""
    torch.manual_seed(0)
    model = model_of(
        small_config(variant=node(name), task={"name": task}, model=DEPTHS), vocabulary=20, classes=4
    ).double()
    for parameter in model.parameters():
        scale = 0.3 if parameter.dim() < 2 else 0.05
        parameter.data += scale * torch.randn_like(parameter)
    return model.eval()


def outputs(name: str, task: str, reference: Callable[[Tensor, Weights], Tensor]) -> list[tuple[Tensor, Tensor]]:
    """(ours, the reference's) for every stack of the task's model."""
    model = model_of(name, task)
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.randn(3, tokens, 16, generator=generator, dtype=torch.float64) for tokens in (7, 5))
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[1, 4:] = mask[2, 2:] = False
    tensors = {key: value.detach() for key, value in model.state_dict(keep_vars=True).items()}
    options = {k: v for k, v in node(name).items() if k not in ("name", "_target_")}
    depths = {stack: DEPTHS[stack] if hasattr(model, stack.removesuffix("_depth")) else 0 for stack in DEPTHS}
    sizes: dict[str, Any] = {**depths, "heads": 4, "options": options}
    with torch.no_grad():
        if task == "language_modelling":
            return [(model.decoder(y), reference(y, Weights(tensors, "decoder", **sizes)))]
        memory = model.encoder(x, mask)
        pairs = [(memory[mask], reference(x, Weights(tensors, "encoder", mask=mask, **sizes))[mask])]
        if task == "translation":
            weights = Weights(tensors, "decoder", memory=memory, memory_mask=mask, **sizes)
            pairs.append((model.decoder(y, memory=memory, memory_mask=mask), reference(y, weights)))
    return pairs


def test_every_variant_that_cites_a_paper_has_a_reference_and_a_mutation():
    """One of the user's own, without a paper to be true to, is held by its golden numbers."""
    cited = {name for name in VARIANTS if re.search(r"\d{4}", Choice.of("variant", node(name)).cls.equation().paper)}
    assert cited <= set(REFERENCES) <= set(VARIANTS)
    assert set(MUTATIONS) == set(REFERENCES)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_the_forward_is_the_papers(name, task):
    for ours, theirs in outputs(name, task, REFERENCES[name]):
        assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_a_slip_is_seen(name):
    differs = [not torch.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in outputs(name, "translation", MUTATIONS[name])]
    assert all(differs)
