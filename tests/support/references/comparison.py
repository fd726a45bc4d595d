"""Every independent reference by the name of its variant, and the package's output to compare it with."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.support.models import model_of, node
from tests.support.references.blocks import Weights

Reference = Callable[[Tensor, Weights], Tensor]

FAMILIES = sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in ("blocks", "comparison"))
MODULES = [import_module(f"tests.support.references.{name}") for name in FAMILIES]
REFERENCES: dict[str, Reference] = {k: f for m in MODULES for k, f in m.REFERENCES.items()}
MUTATIONS: dict[str, Reference] = {k: f for m in MODULES for k, f in m.MUTATIONS.items()}
# Unequal depths, so that a constant made from the wrong one of the two shows.
DEPTHS = {"encoder_depth": 3, "decoder_depth": 4}


def moved_model(name: str, task: str, options: dict[str, Any]) -> Any:
    """In float64, every bias, gain and scalar moved off its start, so that leaving one out shows."""
    torch.manual_seed(0)
    model = model_of(name, **DEPTHS, task=task, options=options).double()
    for parameter in model.parameters():
        scale = 0.3 if parameter.dim() < 2 else 0.05
        parameter.data += scale * torch.randn_like(parameter)
    return model.eval()


def outputs(name: str, task: str, reference: Reference, **options: Any) -> list[tuple[Tensor, Tensor]]:
    """(ours, the reference's) for every stack of the task's model, with some options of the variant changed."""
    model = moved_model(name, task, options)
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.randn(3, tokens, 16, generator=generator, dtype=torch.float64) for tokens in (7, 5))
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[1, 4:] = mask[2, 2:] = False
    tensors = {key: value.detach() for key, value in model.state_dict(keep_vars=True).items()}
    given = {k: v for k, v in node(name, **options).items() if k not in ("name", "_target_")}
    depths = {stack: DEPTHS[stack] if hasattr(model, stack.removesuffix("_depth")) else 0 for stack in DEPTHS}
    sizes: dict[str, Any] = {**depths, "heads": 4, "options": given}
    with torch.no_grad():
        if task == "language_modelling":
            return [(model.decoder(y), reference(y, Weights(tensors, "decoder", **sizes)))]
        memory = model.encoder(x, mask)
        pairs = [(memory[mask], reference(x, Weights(tensors, "encoder", mask=mask, **sizes))[mask])]
        if task == "translation":
            weights = Weights(tensors, "decoder", memory=memory, memory_mask=mask, **sizes)
            pairs.append((model.decoder(y, memory=memory, memory_mask=mask), reference(y, weights)))
    return pairs


def close(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=1e-6, atol=1e-6)
