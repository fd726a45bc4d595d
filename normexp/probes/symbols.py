"""Tensors as text: a model's own code, run on symbols that write down what is done to them."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from normexp.model.replaced import replaced
from normexp.norms import Norm

BRANCHES = {"attention": "A", "cross_attention": "C", "feed_forward": "FFN"}


class Symbol:
    """A tensor of the equation: `text` is how it was made; a sum needs brackets inside a product.

    tracer: writes what it is combined with.
    """

    def __init__(self, tracer: "Tracer", text: str, is_sum: bool = False) -> None:
        self.tracer, self.text, self.is_sum = tracer, text, is_sum

    def __add__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.text} + {self.tracer.text(other)}", is_sum=True)

    def __radd__(self, other: Any) -> "Symbol":
        return self if other is None else self.tracer.symbol(f"{self.tracer.text(other)} + {self.text}", is_sum=True)

    def __sub__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.text} − {self.tracer.factor(other)}", is_sum=True)

    def __rsub__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.tracer.text(other)} − {self.tracer.factor(self)}", is_sum=True)

    def __neg__(self) -> "Symbol":
        return self.tracer.symbol(f"−{self.tracer.factor(self)}")

    def __mul__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.tracer.factor(other)}·{self.tracer.factor(self)}")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.tracer.factor(self)}/{self.tracer.whole(other)}")

    def __rtruediv__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.tracer.factor(other)}/{self.tracer.whole(self)}")

    def __pow__(self, other: Any) -> "Symbol":
        power = _POWERS.get(other) if isinstance(other, int | float) else None
        return self.tracer.symbol(f"{self.tracer.whole(self)}{power or f'^{self.tracer.whole(other)}'}")

    def __matmul__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.tracer.factor(self)} @ {self.tracer.factor(other)}")

    def __rmatmul__(self, other: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.tracer.factor(other)} @ {self.tracer.factor(self)}")

    def __getitem__(self, index: Any) -> "Symbol":
        return self.tracer.symbol(f"{self.tracer.whole(self)}[…]")

    def __iter__(self) -> Iterator["Symbol"]:
        raise TypeError("the size of a symbol is not known")

    def __bool__(self) -> bool:
        raise TypeError("the value of a symbol is not known")

    def __getattr__(self, name: str) -> Any:
        """A method of tensors, written as a function. Raises AttributeError for what depends on numbers, as a shape."""
        method = None if name.startswith("__") else getattr(torch.Tensor, name, None)
        if name in _SAME:
            return lambda *_, **__: self
        if not callable(method):
            raise AttributeError(f"a symbol has no {name}")
        return lambda *args, **kwargs: self.__torch_function__(method, (), (self, *args), kwargs)

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> "Symbol":
        """Write arithmetic as arithmetic, and any other torch function as its name with its arguments in brackets.

        Whole numbers are left out: nearly all of them name dimensions.
        """
        name = function.__name__.strip("_")
        name = {"div": "truediv", "divide": "truediv", "subtract": "sub", "multiply": "mul"}.get(name, name)
        operator = getattr(cls, f"__{name}__", None)
        if operator is not None and len(args) == 2:
            left, right = args
            if isinstance(left, Symbol):
                return operator(left, right)
            reflected = getattr(cls, f"__r{name}__", None)
            if reflected:
                return reflected(right, left)
        given = [*args, *(kwargs or {}).values()]
        tracer = next(_symbols(given)).tracer
        kinds = (Symbol, torch.Tensor, list, tuple, float)
        parts = (tracer.text(each) for each in given if isinstance(each, kinds) and not _dimensions(each))
        return tracer.symbol(f"{name}({', '.join(filter(None, parts))})")


_POWERS = {2: "²", 3: "³", 4: "⁴", 0.5: "^½", -1: "⁻¹", -0.5: "^−½"}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SAME = ("to", "float", "type_as", "contiguous", "clone")  # change where and how a tensor is kept


def subscript(number: int) -> str:
    """12 → ₁₂"""
    return str(number).translate(_SUBSCRIPTS)


def _dimensions(value: Any) -> bool:
    """Whether an argument only says along which dimensions."""
    return isinstance(value, list | tuple) and all(isinstance(each, int) for each in value)


def _symbols(value: Any) -> Iterator[Symbol]:
    if isinstance(value, Symbol):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _symbols(each)


class Tracer:
    """Runs a model on symbols and writes tensors as text; parameters go by the names that the variant gave them."""

    def __init__(self, model: nn.Module) -> None:
        self.names = {id(p): re.sub(r".*\.", "", name) for name, p in model.named_parameters()}

    def symbol(self, text: str, is_sum: bool = False) -> Symbol:
        return Symbol(self, text, is_sum)

    def text(self, value: Any) -> str:
        if isinstance(value, Symbol):
            return value.text
        if isinstance(value, list | tuple):
            return ", ".join(map(self.text, value))
        if isinstance(value, torch.Tensor):
            owner = value if value._base is None else value._base  # a slice of a parameter goes by its name
            if id(owner) in self.names:
                return self.names[id(owner)]
            return f"{value.item():.4g}" if value.numel() == 1 else "c"
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    def factor(self, value: Any) -> str:
        """The text of a factor in a product."""
        text = self.text(value)
        return f"({text})" if isinstance(value, Symbol) and value.is_sum else text

    def whole(self, value: Any) -> str:
        """The text of what a power or a division applies to: in brackets unless it is a name, a number or a call."""
        text = self.text(value)
        return text if re.fullmatch(r"[\w.]*(\([^()]*\))?", text) else f"({text})"

    def called(self, name: str, stream: Any, *more: str) -> Any:
        """What a function of this name makes of a stream, as a stream of the same structure."""
        text = f"{name}({', '.join([self.text(stream), *more])})"
        if isinstance(stream, list | tuple):
            return type(stream)([self.symbol(f"{text}[{place}]") for place, _ in enumerate(stream)])
        return self.symbol(text)

    def named(self, name: str, stream: Any) -> Any:
        """The same structure with fresh names for its parts, so that equations do not grow from layer to layer."""
        if isinstance(stream, list | tuple):
            return type(stream)([self.symbol(f"{name}{subscript(i)}") for i, _ in enumerate(stream)])
        return self.symbol(name)

    @contextmanager
    def symbolic(self, model: nn.Module) -> Iterator[None]:
        """Inside the context, norms, sub-layers and dropout of the model take and return symbols."""
        with ExitStack() as contexts:
            sites = [module for module in model.modules() if hasattr(module, "sublayer")]
            plain = tuple({type(site.norm) for site in sites if isinstance(getattr(site, "norm", None), nn.Module)})
            for module in model.modules():
                if isinstance(module, Norm):
                    contexts.enter_context(replaced(module, forward=self._norm(module.symbol)))
                elif isinstance(module, plain) and not isinstance(module, nn.Identity):  # a norm that is not a Norm
                    contexts.enter_context(replaced(module, forward=self._norm(type(module).__name__)))
                elif hasattr(module, "sublayer"):
                    sublayer: Any = module.sublayer
                    contexts.enter_context(replaced(sublayer, forward=self._branch(str(module.kind))))
                elif isinstance(module, nn.Dropout):
                    contexts.enter_context(replaced(module, forward=lambda x: x))
            yield

    def _norm(self, symbol: str) -> Callable[..., Any]:
        return lambda x, *_, **__: self.symbol(f"{symbol}({self.text(x)})" if symbol else self.text(x))

    def _branch(self, kind: str) -> Callable[..., Any]:
        memory = ", memory" if kind == "cross_attention" else ""
        return lambda x, *_: self.symbol(f"{BRANCHES[kind]}({self.text(x)}{memory})")
