"""The variant interface: how the sub-layers of a stack are joined to its residual stream.

The stack knows its sub-layers and their order in depth; the variant knows how they are joined. A new variant is a
subclass of `Variant`. The stack never asks which variant it holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from normexp.model.add_on import AddOn

Trace = dict[str, Tensor]
Capture = Callable[[str, Tensor], Tensor]  # records an intermediate value of a forward pass by name and returns it
MakeNorm = Callable[[int], nn.Module]  # width → a new norm of the kind that the run uses


def ignore(name: str, value: Tensor) -> Tensor:
    """The default Capture: record nothing (a sub-layer used outside a stack)."""
    return value


@dataclass
class Context:
    """What one forward pass gives to every sub-layer of a stack; the stack fills it and its sites share it.

    mask: batch, token; True at real tokens, None when nothing is padded.
    memory: batch, source token, width; what cross-attention reads.
    trace: where the forward records its intermediate tensors by name; None when tracing is off.
    """

    mask: Tensor | None = None
    memory: Tensor | None = None
    memory_mask: Tensor | None = None
    trace: Trace | None = None

    def capture(self, name: str, value: Tensor) -> Tensor:
        """Record an intermediate value of this forward pass, for probes that asked for a trace."""
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

        def __getattr__(self, name: str) -> Any: ...  # whatever else a variant keeps here, under its own name

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
        self.add_ons: tuple[AddOn, ...] = ()  # the stack's; a plain tuple, so that only the stack owns them

    def branch(self, x: Tensor) -> Tensor:
        """F(x): the sub-layer's output before it is joined, after dropout and add-ons.   batch, token, width"""
        for add_on in self.add_ons:
            x = add_on.before_branch(x, self)
        self.capture("input", x)
        f = self.dropout(self.sublayer(x, self.context, self.capture))
        for add_on in self.add_ons:
            f = add_on.after_branch(f, self)
        return self.capture("branch", f)

    def joined(self, x: Any) -> Any:
        """The stream after this site, given what the variant made of it: what add-ons do to sums."""
        for add_on in self.add_ons:
            x = add_on.after_join(x, self)
        return x

    def capture(self, what: str, value: Tensor) -> Tensor:
        """Record an intermediate value at this site (see Context.capture)."""
        return self.context.capture(f"{self.name}/{what}", value)


class Variant(nn.Module):
    """How the sub-layers of one stack are joined to its residual stream.

    Subclass it, state the equation, and write `join`. Every other method has the default that the common case needs.
    The stream may be any object (a tensor, several, a list); only `start_stream`, `join`, `layer`, `finish_stream` and
    `main_stream` look inside it.

    equation: what a sub-layer does to the stream; may be "". paper: keys of normexp.papers, "" for one without a paper.
    verified: what the equation and its constants were checked against. A subclass inherits none of the three, since it
    usually computes something else.
    """

    equation: str = ""
    paper: str | tuple[str, ...] = ""
    verified: str = ""

    uses_norm = True  # False: this variant places no norm, and setting one is an error
    needs_norm = False  # True: without one its stream grows without bound, so norm=none is an error
    separate_layers = True  # False: layers share more than the stream, so one alone cannot be computed again
    needs_feed_forward = False  # True: its equation or its constants count on one, so model.feed_forward=0 is an error

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("equation", "paper", "verified"):
            if name not in vars(cls):
                setattr(cls, name, "")

    def __init__(self, shape: StackShape, make_norm: MakeNorm) -> None:
        super().__init__()
        self.shape = shape
        self.make_norm = make_norm

    @classmethod
    def made_of(cls, stacks: Sequence[str], **options: Any) -> tuple[type["Variant"], ...]:
        """The classes that these stacks, encoder or decoder, get under these options.

        What is asked of a variant is asked of all of them.
        """
        return (cls,)

    # -- what is built ------------------------------------------------------------------------------

    def sites(self, layer: int) -> dict[str, str]:
        """Name and kind (attention, cross_attention, feed_forward) of a layer's sub-layers, in order."""
        cross = self.shape.stack == "decoder" and self.shape.encoder_depth  # a decoder alone has nothing to read
        present = {"attention": True, "cross_attention": cross, "feed_forward": self.shape.feed_forward}
        return {kind: kind for kind in present if present[kind]}

    def build_site(self, site: Site) -> None:
        """Give a site what this variant owns there: by default one norm."""
        if self.uses_norm:
            site.norm = self.make_norm(site.width)

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        """Modules inside the branch, by the name of the slot (see Attention and FeedForward)."""
        return {}

    def init_scale(self, site: Site | None, role: str) -> float:
        """Factor on an initial weight matrix; biases are never scaled.

        role: query, key, value, out, fc1, fc2 or gate at a site; embedding or head where site is None.
        """
        return 1.0

    def constrained(self, weight: Tensor, site: Site | None, role: str) -> Tensor:
        """What a matrix becomes at the start, after it is drawn, and after every update. role: see init_scale."""
        return weight

    # -- what is computed ---------------------------------------------------------------------------

    def start_stream(self, x: Tensor) -> Any:
        """Embedding → stream."""
        return x

    def layer(self, stream: Any, sites: list[Site]) -> Any:
        """One layer: by default each of its sites is joined in turn.

        This default records the stream after every site, for probes. A subclass that overrides it need not: the stack
        records where a layer ends. For rows at the other sites too, it calls site.capture("stream", x) after them.
        """
        for site in sites:
            stream = site.joined(self.join(stream, site))
            site.capture("stream", self.main_stream(stream))
        return stream

    def join(self, x: Any, site: Site) -> Any:
        """The equation: stream before the site → stream after it."""
        raise TypeError(f"{type(self).__name__} must define join or layer; it defines neither")

    def finish_stream(self, stream: Any) -> Tensor:
        """Stream → output of the stack."""
        return stream

    def main_stream(self, stream: Any) -> Tensor:
        """The one tensor that probes call the stream."""
        return stream

    # -- what depends on data or time ---------------------------------------------------------------

    def calibrate(self, forward: Callable[[], Any]) -> None:
        """Set constants from one batch before training; `forward()` runs the model once on it, without gradients.

        The result belongs in parameters or buffers, so that a resumed run never repeats the calibration.
        """

    def on_step_begin(self, step: int) -> None:
        """Called before every training step, counted from 1; what it changes belongs in buffers."""

    def warnings(self) -> list[str]:
        """How the graph at this depth departs from the paper, one line each; empty where it does not."""
        return []
