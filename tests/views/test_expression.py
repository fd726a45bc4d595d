"""Equations as trees and as chains."""

import pytest

from normexp.views.expression import Call, Chain, Name, Product, Step, Sum, parse, step_of

X, H = Name("x"), Name("h₁")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x", X),
        ("LN(x + A(x))", Call("LN", (Sum((("+", X), ("+", Call("A", (X,))))),))),
        ("h₁ − C(h₁, memory)", Sum((("+", H), ("−", Call("C", (H, Name("memory"))))))),
        ("1.565·x/2", Product((("·", Name("1.565")), ("·", X), ("/", Name("2"))))),
        ("2·(x + h₁)", Product((("·", Name("2")), ("·", Sum((("+", X), ("+", H))))))),
        ("x[…]", None),
        ("x +", None),
        ("LN(x", None),
        ("x, h₁", None),
        ("", None),
    ],
)
def test_expressions_are_trees(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("line", "step"),
    [
        (
            "h₁ = LN(1.5·x + LN(A(LN(x))))",
            Step(
                "h₁",
                (
                    Chain("x", (("scale", "× 1.5"),)),
                    Chain("x", (("plain", "LN"), ("plain", "A"), ("plain", "LN"))),
                ),
                (("plain", "LN"),),
            ),
        ),
        ("x ← LN(A(x))", Step("x", (Chain("x", (("plain", "A"), ("plain", "LN"))),), ())),
        (
            "x ← x − C(x, memory)/2",
            Step(
                "x",
                (Chain("x", ()), Chain("x", (("memory", "C"), ("scale", "/ 2"), ("scale", "× −1")))),
                (),
            ),
        ),
        ("x ← x + A(x + A(x))", None),  # a sum inside a branch
        ("x ← x₀ + A(x)", None),  # x₀ is not known
    ],
)
def test_equations_are_chains_into_a_sum(line, step):
    assert step_of(line, {"x"}) == step
