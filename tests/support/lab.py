"""A user's folder of variants: one without a mistake, and one for each mistake that the checks know."""

from pathlib import Path

SOURCE = '''
"""Variants of a user."""

import torch
from torch import nn

from normexp.variants import Variant
from normexp.variants.mixed import Mixed
from normexp.variants.no_residual import NoResidual
from normexp.variants.pre_ln import PreLN


class Harmless(PreLN):
    """Pre-LN with a squashed gain per channel."""

    equation = "x ← x + tanh(a) ⊙ F(LN(x)), LN at the end"

    def build_site(self, site):
        super().build_site(site)
        site.a = nn.Parameter(torch.full((site.width,), 0.7))

    def join(self, x, site):
        return x + torch.tanh(site.a) * site.branch(site.norm(x))


class MeanOverTokens(PreLN):
    """Subtracts the mean over the tokens of a text, later ones included."""

    equation = "x ← x + F(LN(x − mean over tokens)), LN at the end"

    def join(self, x, site):
        return x + site.branch(site.norm(x - x.mean(dim=1, keepdim=True)))


class HiddenMean(Harmless):
    """The same behind a factor that starts at 0."""

    def build_site(self, site):
        super().build_site(site)
        site.b = nn.Parameter(torch.zeros(()))

    def join(self, x, site):
        return super().join(x, site) - site.b * x.cumsum(dim=1).mean(dim=1, keepdim=True)


class Length(PreLN):
    """Divides by the number of tokens, padding and later tokens included."""

    def join(self, x, site):
        return x + site.branch(site.norm(x)) / x.shape[1]


class BatchMean(PreLN):
    def join(self, x, site):
        return x - 0.1 * x.mean(dim=0, keepdim=True) + site.branch(site.norm(x))


class TrainingMean(PreLN):
    """As batch normalisation does: in evaluation there is nothing to see."""

    def join(self, x, site):
        mean = x.mean(dim=0, keepdim=True) if self.training else 0
        return x + site.branch(site.norm(x - mean))


class Forgets(PreLN):
    """Without the residual in layer 3."""

    def join(self, x, site):
        f = site.branch(site.norm(x))
        return f if site.layer == 3 else x + f


class ForgetsInside(PreLN):
    """The same for one sub-layer, in code that no symbol can run."""

    def join(self, x, site):
        f = site.branch(site.norm(x))
        if float(x.detach().abs().sum()) < 0:
            raise AssertionError
        return f if site.layer == 3 and site.kind == "feed_forward" else x + f


class MeansIt(Mixed):
    """Another variant in layer 3, on purpose."""

    def __init__(self, shape, make_norm):
        super().__init__(shape, make_norm)
        self.pre, self.none = PreLN(shape, make_norm), NoResidual(shape, make_norm)

    def at(self, site):
        return self.none if site.layer == 3 else self.pre

    def finish_stream(self, stream):
        return self.pre.finish_stream(stream)


class OtherScale(PreLN):
    """One layer that is unlike its neighbours and joins the stream all the same."""

    def join(self, x, site):
        f = site.branch(site.norm(x))
        return x + f - f.relu() if site.layer == 3 else x + f


class Unused(PreLN):
    def build_site(self, site):
        super().build_site(site)
        if site.layer == 2 and site.kind == "feed_forward":
            site.spare = nn.Parameter(torch.ones(3))


class ReadsMemory(PreLN):
    """Has a parameter that only cross-attention uses."""

    def __init__(self, shape, make_norm):
        super().__init__(shape, make_norm)
        if shape.stack == "decoder":
            self.reader = nn.Parameter(torch.ones(()))

    def join(self, x, site):
        factor = self.reader if site.kind == "cross_attention" else 1
        return x + factor * site.branch(site.norm(x))


class Drawn(PreLN):
    """Starts with numbers that no seed decides."""

    def build_site(self, site):
        super().build_site(site)
        site.a = nn.Parameter(torch.rand(site.width))

    def join(self, x, site):
        return x + site.a * site.branch(site.norm(x))


class Counts(PreLN):
    """Remembers how often it was called."""

    calls = 0

    def join(self, x, site):
        self.calls += 1
        return x + site.branch(site.norm(x)) / self.calls


class Remembers(PreLN):
    """Subtracts the mean over the tokens of the first batch of each shape that it read."""

    def build_site(self, site):
        super().build_site(site)
        site.means = {}

    def join(self, x, site):
        mean = site.means.setdefault(x.shape, x.detach().mean(dim=1, keepdim=True))
        return x + site.branch(site.norm(x - mean))


class Calibrated(PreLN):
    """Keeps what it measured in an attribute, which no checkpoint holds."""

    scale = 1.0

    def calibrate(self, forward):
        forward()
        self.scale = 2.0

    def join(self, x, site):
        return x + self.scale * site.branch(site.norm(x))


class Explodes(Variant):
    uses_norm = False

    def join(self, x, site):
        return 10 * x + site.branch(x)


class Crashes(PreLN):
    def join(self, x, site):
        return x + site.branch(site.norm(x)) @ torch.ones(3)
'''


def name_of(cls: str) -> str:
    """MeanOverTokens → mean_over_tokens"""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in cls).lstrip("_")


def write_lab(folder: Path) -> Path:
    """The folder with the classes and a YAML file for each of them."""
    (folder / "variant").mkdir(parents=True)
    (folder / "judged_variants.py").write_text(SOURCE)
    for line in SOURCE.splitlines():
        if line.startswith("class "):
            cls = line.removeprefix("class ").partition("(")[0]
            (folder / "variant" / f"{name_of(cls)}.yaml").write_text(f"_target_: judged_variants.{cls}\n")
    return folder
