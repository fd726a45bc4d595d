"""The equations of a graph as trees, for who draws them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?(?:e-?\d+)?)|([^\W\d][\w.]*)|([()+−·/,]))")


@dataclass(frozen=True)
class Name:
    """A tensor, or a constant, by its name or its value."""

    text: str


@dataclass(frozen=True)
class Call:
    """A function of tensors."""

    text: str
    inputs: tuple["Node", ...]


@dataclass(frozen=True)
class Sum:
    """Terms with their signs, + or −."""

    terms: tuple[tuple[str, "Node"], ...]


@dataclass(frozen=True)
class Product:
    """Factors with · or / in front of each."""

    factors: tuple[tuple[str, "Node"], ...]


Node = Name | Call | Sum | Product


def parse(text: str) -> Node | None:
    """The tree of an expression; None if it has anything but names, numbers, calls, sums and products."""
    tokens, at = [], 0
    while at < len(text.rstrip()):
        if not (match := TOKEN.match(text, at)):
            return None
        tokens.append(match.group().strip())
        at = match.end()
    reader = _Reader(tokens)
    try:
        found = reader.sum()
    except (StopIteration, ValueError):
        return None
    return found if reader.at == len(tokens) else None


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at = tokens, 0

    def sum(self) -> Node:
        terms = [("+", self.product())]
        while self.peek() in ("+", "−"):
            terms.append((self.take(), self.product()))
        return terms[0][1] if len(terms) == 1 else Sum(tuple(terms))

    def product(self) -> Node:
        factors = [("·", self.atom())]
        while self.peek() in ("·", "/"):
            factors.append((self.take(), self.atom()))
        return factors[0][1] if len(factors) == 1 else Product(tuple(factors))

    def atom(self) -> Node:
        token = self.take()
        if token == "(":
            inner = self.sum()
            self.expect(")")
            return inner
        if not (token[0].isalnum() or token[0] == "_"):
            raise ValueError(token)
        if self.peek() != "(":
            return Name(token)
        self.take()
        inputs = [self.sum()]
        while self.peek() == ",":
            self.take()
            inputs.append(self.sum())
        self.expect(")")
        return Call(token, tuple(inputs))

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        if self.at == len(self.tokens):
            raise StopIteration
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise ValueError(token)


@dataclass(frozen=True)
class Chain:
    """What happens to one tensor on its way into a sum: functions and factors, the first one first.

    boxes: (kind, text), kind one of scale, memory (a function that also reads the memory) and plain.
    """

    source: str
    boxes: tuple[tuple[str, str], ...]

    @property
    def is_skip(self) -> bool:
        """Whether the tensor is at most multiplied."""
        return all(kind == "scale" for kind, _ in self.boxes)


@dataclass(frozen=True)
class Step:
    """One equation: the chains that are added, what then happens to the sum, and the name of the result."""

    name: str
    chains: tuple[Chain, ...]
    after: tuple[tuple[str, str], ...]


def step_of(line: str, known: set[str]) -> Step | None:
    """An equation such as h₁ = LN(x + A(x)); None if it is no sum of chains. known: the names of tensors."""
    name, _, right = re.split(r" (=|←) ", line, maxsplit=1) if re.search(r" (=|←) ", line) else ("", "", "")
    node = parse(right) if right else None
    if node is None:
        return None
    outer: list[tuple[str, str]] = []
    while not isinstance(node, Sum) and (peeled := _peeled(node, known)):
        box, node = peeled
        outer.append(box)
    if not isinstance(node, Sum):  # one chain, no sum
        return Step(name, (Chain(node.text, tuple(outer[::-1])),), ()) if _is_tensor(node, known) else None
    chains = []
    for sign, term in node.terms:
        chain = _chain(term, known)
        if chain is None:
            return None
        chains.append(chain if sign == "+" else Chain(chain.source, (*chain.boxes, ("scale", "× −1"))))
    return Step(name, tuple(chains), tuple(outer[::-1]))


def _chain(node: Node, known: set[str]) -> Chain | None:
    boxes: list[tuple[str, str]] = []
    while peeled := _peeled(node, known):
        box, node = peeled
        boxes.append(box)
    if not _is_tensor(node, known):
        return None
    return Chain(node.text, tuple(box for box in boxes[::-1] if box != ("scale", "× 1")))


def _peeled(node: Node, known: set[str]) -> tuple[tuple[str, str], Node] | None:
    """The outermost function or factor, and what it applies to."""
    if isinstance(node, Call) and len(node.inputs) == 1:
        return ("plain", node.text), node.inputs[0]
    if isinstance(node, Call) and len(node.inputs) == 2 and node.inputs[1] == Name("memory"):
        return ("memory", node.text), node.inputs[0]
    if isinstance(node, Product):
        inside = [(sign, each) for sign, each in node.factors if set(_names(each)) & known]
        others = [(sign, each) for sign, each in node.factors if not set(_names(each)) & known]
        if len(inside) == 1 and inside[0][0] == "·" and all(isinstance(each, Name) for _, each in others):
            said = " ".join(("× " if sign == "·" else "/ ") + each.text for sign, each in others)  # type: ignore[union-attr]
            return ("scale", said), inside[0][1]
    return None


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, Name):
        yield node.text
    elif isinstance(node, Call):
        for each in node.inputs:
            yield from _names(each)
    else:
        for _, each in node.terms if isinstance(node, Sum) else node.factors:
            yield from _names(each)


def _is_tensor(node: Node, known: set[str]) -> TypeGuard[Name]:
    return isinstance(node, Name) and node.text in known
