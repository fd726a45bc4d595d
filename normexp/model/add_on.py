"""The add-on interface: what changes every branch of a stack, whichever variant joins it.

A new add-on is a subclass of `AddOn`. Variants and stacks never ask which add-ons there are.
"""

from torch import Tensor, nn

from normexp.model.variant import Site, StackShape


class AddOn(nn.Module):
    """What one stack does to its branches in addition to its variant. Every method does nothing by default.

    equation, with f = F(x) for a branch and y for the stream after it; paper, keys of normexp.papers; verified: see
    Variant. One that overrides after_join needs a variant with one stream that is joined site by site; one that
    overrides option_scales needs an optimizer of torch.optim, which takes groups.
    """

    equation: str = ""
    paper: str | tuple[str, ...] = ""
    verified: str = ""

    def __init__(self, shape: StackShape) -> None:
        super().__init__()
        self.shape = shape

    def build_site(self, site: Site) -> None:
        """Give a site what this add-on owns there."""

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        """Modules inside the branch, by the name of the slot; they act after the variant's in the same slot."""
        return {}

    def on_initialised(self, sites: list[Site]) -> None:
        """Called once, after the initial weights are drawn."""

    def option_scales(self, site: Site) -> dict[str, float]:
        """Factors on options of the optimizer, such as lr and eps, for all parameters at a site."""
        return {}

    def before_branch(self, x: Tensor, site: Site) -> Tensor:
        """What the sub-layer reads, given what the variant lets it read.   batch, token, width"""
        return x

    def after_branch(self, f: Tensor, site: Site) -> Tensor:
        """What the variant joins, given the sub-layer's output after dropout.   batch, token, width"""
        return f

    def after_join(self, x: Tensor, site: Site) -> Tensor:
        """The stream after the site, given what the variant made of it.   batch, token, width"""
        return x

    def on_step_begin(self, step: int) -> None:
        """Called before every training step, counted from 1; what it changes belongs in buffers."""
