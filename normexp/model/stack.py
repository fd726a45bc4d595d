"""A stack of layers: builds the sub-layers and passes them to its variant, layer by layer."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from normexp.model.add_on import AddOn
from normexp.model.attention import Attention
from normexp.model.buffers import with_buffers
from normexp.model.feed_forward import FeedForward
from normexp.model.recompute import recomputed
from normexp.model.variant import Context, Site, StackShape, Trace, Variant
from normexp.norms import Norm


def in_sublayer(name: str) -> bool:
    """Whether a parameter or a module of this name is a sub-layer's own, not a variant's or an add-on's inside it."""
    return ".sublayer." in name and ".inside." not in name


class Stack(nn.Module):
    """An encoder or a decoder of `shape.depth` layers, joined by `variant`.

    make_variant: shape → variant. dropout: on every branch's output; attention_dropout: inside the branches. positions:
    what self-attention knows of them, see Attention. biases: whether sub-layers have some. attention_norms: makes the
    norms of one attention sub-layer, by slot; a module that the variant puts into a slot replaces the norm there.
    recompute: whether the backward computes the activations of a layer again, see recomputed.
    make_add_ons: shape → add-ons by name, in the order in which they act.
    """

    def __init__(
        self,
        shape: StackShape,
        make_variant: Callable[[StackShape], Variant],
        *,
        activation: str,
        dropout: float,
        attention_dropout: float,
        positions: str = "",
        biases: bool = True,
        attention_norms: Callable[[], dict[str, nn.Module]] = dict,
        make_add_ons: Callable[[StackShape], dict[str, AddOn]] = lambda shape: {},
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.recompute = shape, recompute
        self.context = Context()
        self.variant = make_variant(shape)
        add_ons = make_add_ons(shape)
        self.add_ons = nn.ModuleDict(add_ons)

        def make_sublayer(kind: str, inside: dict[str, nn.Module]) -> nn.Module:
            if kind == "feed_forward":
                size = (shape.width, shape.feed_forward)
                return FeedForward(*size, activation, attention_dropout, inside, biases=biases)
            cross = kind == "cross_attention"
            causal = shape.stack == "decoder" and not cross
            inside = attention_norms() | inside
            persistent = 0 if cross else shape.persistent
            return Attention(
                *(shape.width, shape.heads, attention_dropout, inside),
                causal=causal,
                cross=cross,
                persistent=persistent,
                positions=positions,
                biases=biases,
            )

        self.layers = nn.ModuleDict()
        self.sites_by_layer: list[list[Site]] = []
        index = 0
        for layer in range(1, shape.depth + 1):
            sites: dict[str, Site] = {}
            number = f"{layer:02d}"  # the same in a stack of any depth: weights are drawn per name
            for name, kind in self.variant.sites(layer).items():
                index += 1
                full_name = f"{shape.stack}.{number}.{name}"
                site = Site(shape, layer, index, full_name, kind, dropout, self.context)
                inside = dict(self.variant.branch_modules(site))
                for owner, add_on in add_ons.items():
                    inside |= {f"{slot}+{owner}": module for slot, module in add_on.branch_modules(site).items()}
                site.sublayer = make_sublayer(kind, inside)
                self.variant.build_site(site)
                site.add_ons = tuple(add_ons.values())
                for add_on in site.add_ons:
                    add_on.build_site(site)
                sites[name] = site
            self.layers[number] = nn.ModuleDict(sites)
            self.sites_by_layer.append(list(sites.values()))
        for module in self.modules():
            if isinstance(module, Norm):
                module.bind(self.context)

    def on_initialised(self) -> None:
        """Called once, after the initial weights are drawn."""
        for add_on in self.add_ons.values():
            add_on.on_initialised(self.sites)  # type: ignore[operator]

    def on_step_begin(self, step: int) -> None:
        """Called before every training step, counted from 1: what changes with time."""
        self.variant.on_step_begin(step)
        for add_on in self.add_ons.values():
            add_on.on_step_begin(step)  # type: ignore[operator]

    @cached_property
    def _counting(self) -> list[list[nn.Module]]:
        """The modules with buffers, such as running statistics, by layer; those outside of sites are in every layer."""
        shared = [module for part in (self.variant, self.add_ons) for module in with_buffers(part)]
        return [shared + [each for site in sites for each in with_buffers(site)] for sites in self.sites_by_layer]

    @property
    def sites(self) -> list[Site]:
        """All sites, in the order in which the forward reaches them."""
        return [site for layer in self.sites_by_layer for site in layer]

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """Embedded tokens → the stack's output.   batch, token, width"""
        self.set_context(Context(mask, memory, memory_mask, trace))
        try:
            self.context.capture(f"{self.shape.stack}/input", x)
            stream = self.variant.start_stream(x)
            self.context.capture(f"{self.shape.stack}/stream", self.variant.main_stream(stream))
            again = self.recompute and trace is None and torch.is_grad_enabled()
            for number, sites in enumerate(self.sites_by_layer):
                if again:
                    layer = partial(self.layer, sites=sites)
                    stream = recomputed(layer, stream, self.context, self._counting[number])
                else:
                    stream = self.layer(stream, sites)
            return self.context.capture(f"{self.shape.stack}/output", self.variant.finish_stream(stream))
        finally:
            self.set_context(Context())  # otherwise the last batch and its graph would stay in memory

    def layer(self, stream: Any, sites: list[Site]) -> Any:
        """One layer. Its end is recorded as the stream after its last site, where the variant recorded none there."""
        if (trace := self.context.trace) is None or not sites:
            return self.variant.layer(stream, sites)
        name = f"{sites[-1].name}/stream"
        trace.pop(name, None)  # of an earlier forward
        stream = self.variant.layer(stream, sites)
        if name not in trace:
            trace[name] = self.variant.main_stream(stream)
        return stream

    def set_context(self, values: Context) -> None:
        """Replace the values of the one context object that all sites of the stack share."""
        vars(self.context).update(vars(values))
