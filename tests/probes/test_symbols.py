"""Code that trains has a graph: arithmetic as arithmetic, the rest as functions, what reads numbers by its name."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from normexp.data.corpus import load_corpus
from normexp.model.build import build
from normexp.probes.graph import graph
from normexp.variants import Variant
from tests.support.configs import with_values
from tests.support.runs import tiny_config

Join = Callable[[Any, Any, Any], Any]


class PlainNorm(nn.Module):
    """A norm that is not a Norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.gain * x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()


class Mine(Variant):
    """Its join is given by each test."""

    rule: Join

    def join(self, x, site):
        return type(self).rule(self, x, site)


class Listed(Variant):
    """The stream is a list, and a layer reads numbers."""

    def start_stream(self, x):
        return [x, 2 * x]

    def join(self, x, site):
        return [each + site.branch(site.norm(x[0])) for each in x]

    def layer(self, stream, sites):
        scale = float(stream[0].detach().abs().mean()) + 1
        for site in sites:
            stream = self.join([each / scale for each in stream], site)
        return stream

    def finish_stream(self, stream):
        return stream[0].clamp(max=float(stream[1].detach().abs().max()) + 1)

    def main_stream(self, stream):
        return stream[0]


RULES: dict[str, tuple[Join, str]] = {
    "mean": (lambda self, x, site: site.norm(x - x.mean(1, keepdim=True)), "LN(x − mean(x))"),
    "tanh": (lambda self, x, site: x + site.branch(x).tanh(), "x + tanh(A(x))"),
    "square": (lambda self, x, site: site.norm(x + site.branch(x) ** 2), "LN(x + A(x)²)"),
    "root": (lambda self, x, site: site.norm(x / (1 + x**2) ** 0.5), "LN(x/((1 + x²)^½))"),
    "one_minus": (lambda self, x, site: site.norm(1 - x), "LN(1 − x)"),
    "minus": (lambda self, x, site: site.norm(-x), "LN(−x)"),
    "slice": (lambda self, x, site: x + site.branch(x)[:, :1], "x + A(x)[…]"),
    "kept": (lambda self, x, site: x.float().to(torch.float32) + site.branch(x), "x + A(x)"),
    "clamp": (lambda self, x, site: x.clamp(min=-2.5) + site.branch(x), "clamp(x, -2.5) + A(x)"),
    "reads": (lambda self, x, site: x * float(x.detach().mean()) + site.branch(x), "Mine.join(x, A)"),
    "decides": (lambda self, x, site: x if x.detach().sum() > 0 else site.branch(x), "Mine.join(x, A)"),
    "shape": (lambda self, x, site: x / x.shape[-1] + site.branch(x), "Mine.join(x, A)"),
    "loops": (lambda self, x, site: torch.stack(list(x)) + site.branch(x), "Mine.join(x, A)"),
}


def model_of(variant: type[Variant]):
    target = f"{__name__}.{variant.__name__}"
    config = with_values(tiny_config(), variant={"name": "mine", "_target_": target})
    return build(config, load_corpus(config.data))


def trains(model) -> bool:
    words = torch.ones((2, 3), dtype=torch.long)
    model(words, None, words).square().mean().backward()
    return all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


@pytest.mark.parametrize("name", RULES)
def test_code_that_trains_has_a_graph(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, text = RULES[name]
    monkeypatch.setattr(Mine, "rule", rule, raising=False)
    model = model_of(Mine)
    assert trains(model)
    assert graph(model)[0].lines[0] == f"h₁ = {text}"
    assert trains(model)  # the code runs on numbers again


def test_a_norm_that_is_a_plain_module_has_its_name() -> None:
    model = model_of(Mine)
    Mine.rule = lambda self, x, site: site.norm(x + site.branch(x))
    for stack in model.stacks:
        for site in stack.sites:
            site.norm = PlainNorm(16)
    assert trains(model)
    assert graph(model)[0].lines == ("h₁ = PlainNorm(x + A(x))", "x ← PlainNorm(h₁ + FFN(h₁))")


def test_a_layer_that_reads_numbers_is_named() -> None:
    model = model_of(Listed)
    assert trains(model)
    opens, layer, closes = graph(model)[:3]
    assert opens.lines == ("x = embedding, 2·embedding",)
    assert layer.lines == ("x ← Listed.layer(x₀, x₁, A, FFN)[0], Listed.layer(x₀, x₁, A, FFN)[1]",)
    assert closes.lines == ("output = Listed.finish_stream(x₀, x₁)[0], Listed.finish_stream(x₀, x₁)[1]",)
