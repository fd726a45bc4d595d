"""The seam between a stack and a variant: everything that joins sub-layers to the stream passes here.

The stack knows sub-layers and their order in depth; the variant knows how they are joined. A new
arrangement is a subclass of `Variant`, and the stack never asks which one it holds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

Trace = dict[str, Tensor]
Capture = Callable[[str, Tensor], Tensor]  # names an intermediate value of a forward pass, and hands it back


def ignore(name: str, value: Tensor) -> Tensor:
    """What a sub-layer that stands alone does with its intermediate values: nothing."""
    return value


@dataclass
class Context:
    """What one forward pass gives to every sub-layer of a stack; shared by its sites, filled by the stack.

    mask: batch, token; True at real tokens, None when nothing is padded.
    memory: batch, source token, width; what cross-attention reads.
    trace: where the forward writes its intermediate tensors by name, None when nobody asks.
    """

    mask: Tensor | None = None
    memory: Tensor | None = None
    memory_mask: Tensor | None = None
    trace: Trace | None = None

    def capture(self, name: str, value: Tensor) -> Tensor:
        """Name an intermediate value of this forward pass, for probes that asked to see it."""
        if self.trace is not None:
            self.trace[name] = value
        return value


@dataclass(frozen=True)
class StackShape:
    """The size of the stack that a variant serves.

    A depth is 0 where the model has no such stack.
    """

    stack: str  # encoder or decoder
    encoder_depth: int
    decoder_depth: int
    width: int
    heads: int
    feed_forward: int  # hidden width; 0: layers have no such sub-layer
    persistent: int = 0  # key-value pairs per head of every self-attention, see Attention

    @property
    def depth(self) -> int:
        """Layers in this stack."""
        return self.encoder_depth if self.stack == "encoder" else self.decoder_depth


class Site(nn.Module):
    """One sub-layer's place in a stack, with F (`branch`) and whatever the variant keeps there (`norm`, …).

    layer and index count from 1, as papers do; index runs over all sites of the stack.
    """

    norm: nn.Module  # by Variant.build_site
    sublayer: nn.Module  # by the stack
    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # whatever else a variant keeps here, by its own name

    def __init__(
        self, shape: StackShape, layer: int, index: int, name: str, kind: str, dropout: float, context: Context
    ) -> None:
        super().__init__()
        self.shape, self.layer, self.index, self.kind = shape, layer, index, kind
        self.encoder_depth, self.decoder_depth = shape.encoder_depth, shape.decoder_depth
        self.width = shape.width
        self.name = name  # unique in the model: decoder.05.feed_forward
        self.dropout = nn.Dropout(dropout)
        self.context = context

    def branch(self, x: Tensor) -> Tensor:
        """F(x): the sub-layer's output before it is joined, after dropout.   batch, token, width"""
        self.capture("input", x)
        return self.capture("branch", self.dropout(self.sublayer(x, self.context, self.capture)))

    def capture(self, what: str, value: Tensor) -> Tensor:
        """Name an intermediate value at this site (see Context.capture)."""
        return self.context.capture(f"{self.name}/{what}", value)


@dataclass(frozen=True)
class Equation:
    """The first line of a variant's docstring, taken apart."""

    text: str
    paper: str


class Variant(nn.Module):
    """How the sub-layers of one stack are joined to its residual stream.

    Subclass it, put the equation and the paper on the docstring's first line with three spaces between them,
    and write `join`. Every other method has the default that the common case needs. The stream may be any
    object (a tensor, several, a list); only `open`, `layer`, `close` and `view` look inside it.
    """

    uses_norm = True  # False: this variant places no norm, and setting one on the line is an error
    needs_norm = False  # True: without one its stream grows without bound, so norm=none is an error
    needs_feed_forward = False  # True: its equation or its constants count on one, so model.feed_forward=0 is an error

    def __init__(self, shape: StackShape, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.shape = shape
        self.make_norm = norm

    # -- what is built ------------------------------------------------------------------------------

    def sites(self, layer: int) -> dict[str, str]:
        """Name and kind (attention, cross_attention, feed_forward) of a layer's sub-layers, in order."""
        cross = self.shape.stack == "decoder" and self.shape.encoder_depth  # on its own it has nothing to read
        there = {"attention": True, "cross_attention": cross, "feed_forward": self.shape.feed_forward}
        return {kind: kind for kind in there if there[kind]}

    def build_site(self, site: Site) -> None:
        """Give a site what this variant owns there: by default one norm."""
        if self.uses_norm:
            site.norm = self.make_norm(site.width)

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        """Modules inside the branch, by the name of the slot (see Attention and FeedForward)."""
        return {}

    def init_scale(self, site: Site | None, role: str) -> float:
        """Factor on an initial weight matrix; biases are never scaled.

        role: query, key, value, out, fc1 or fc2 at a site; embedding or head where site is None.
        """
        return 1.0

    # -- what is computed ---------------------------------------------------------------------------

    def start_stream(self, x: Tensor) -> Any:
        """Embedding → stream."""
        return x

    def layer(self, stream: Any, sites: list[Site]) -> Any:
        """One layer: by default each of its sites is joined in turn."""
        for site in sites:
            stream = self.join(stream, site)
            site.capture("stream", self.main_stream(stream))
        return stream

    def join(self, x: Any, site: Site) -> Any:
        """The equation: stream before the site → stream after it."""
        raise TypeError(f"{type(self).__name__} has neither a join nor a layer of its own")

    def finish_stream(self, stream: Any) -> Tensor:
        """Stream → output of the stack."""
        return stream

    def main_stream(self, stream: Any) -> Tensor:
        """The one tensor that probes call the stream."""
        return stream

    # -- what depends on data or time ---------------------------------------------------------------

    def calibrate(self, forward: Callable[[], Any]) -> None:
        """Set constants from one batch before training; `forward()` runs the model once on it, no gradient.

        The result belongs in parameters or buffers, so that a resumed run never repeats it.
        """

    def on_step_begin(self, step: int) -> None:
        """Called before every training step, counted from 1; what it changes belongs in buffers."""

    def warnings(self) -> list[str]:
        """What a reader of the graph should know at this depth, a line each; empty where all is as the paper has it."""
        return []

    @classmethod
    def equation(cls) -> Equation:
        """The docstring's first line: what this variant computes and who proposed it."""
        text, _, paper = (cls.__doc__ or "").strip().partition("\n")[0].partition("   ")
        return Equation(text.strip(), paper.strip())
