"""The numbers of the map for one variant, with its rank among all."""

from pathlib import Path

from normexp.cards.numbers import numbers, predictors, reference
from tests.support.cards import planted_map

MAP = planted_map(pre_ln=1.2, post_ln=2.5, mine=1.5, other=1.8)


def rows_of(name: str) -> dict[tuple[str, str], list[str]]:
    found = numbers(name, MAP)
    return {(number, at): rest for number, at, *rest in found.itertuples(index=False)}


def test_every_number_has_its_interval_and_its_rank() -> None:
    rows = rows_of("mine")
    assert rows["regret at its best rate", "grammar, depth 6"] == [
        "0.5 [0.45, 0.55]",
        "2 of 4",
        "0.2 [0.15, 0.25]",
        "1.5 [1.45, 1.55]",
    ]
    assert rows["regret at its best rate", "grammar, depth 12"][:2] == ["0.6 [0.55, 0.65]", "2 of 4"]
    assert rows["best rate", "grammar, depth 6"] == ["0.001", "–", "–", "0.001"]  # no rate learned in the second
    assert rows["usable rates, octaves (±1)", "grammar, depth 6"] == ["2", "1–3 of 4", "0", "1"]
    assert rows["drift of the best rate", "grammar"] == ["-1.5", "1–4 of 4", "-1.2", "-2.5"]


def test_a_depth_beyond_the_map_is_said_to_be() -> None:
    assert rows_of("mine")["depth₅₀", "grammar"] == ["beyond the map", "1–3 of 4", "beyond the map", "8.49 [6, 12]"]
    assert rows_of("post_ln")["depth₅₀", "grammar"][:2] == ["8.49 [6, 12]", "4 of 4"]


def test_a_variant_that_is_not_on_the_map_has_no_numbers() -> None:
    assert numbers("new", MAP).empty
    assert numbers("pre_ln", None).empty


def test_another_swept_key_is_part_of_the_place() -> None:
    points = MAP.points.copy()
    points.insert(2, "init", "small")
    variants = MAP.variants.copy()
    variants.insert(1, "init", "small")
    found = numbers("mine", MAP._replace(points=points, variants=variants))
    assert set(found["at"]) == {"grammar, depth 6, init small", "grammar, depth 12, init small", "grammar, init small"}


def test_the_map_is_read_from_its_two_tables(tmp_path: Path) -> None:
    assert reference(tmp_path) is None
    MAP.points.to_csv(tmp_path / "points.csv", index=False)
    MAP.variants.to_csv(tmp_path / "variants.csv", index=False)
    assert numbers("mine", reference(tmp_path)).equals(numbers("mine", MAP))


def test_what_predicts_training_is_named_where_something_does(tmp_path: Path) -> None:
    head = "label,planned,layers,variants,tau,low,high,verdict\n"
    rows = (
        "b,True,9 layers,12,0.2,-0.1,0.5,cannot tell",
        "a,True,9 layers,12,0.6,0.3,0.9,{}",
        "c,False,9 layers,12,0.5,0.4,0.6,{}",
    )
    losses = "the losses of 12 variants at 9 layers"
    for verdict, said in {
        "holds": f"these predict {losses}: a (Kendall's τ 0.60 [0.30, 0.90]); "
        "exploratory: c (Kendall's τ 0.50 [0.40, 0.60]).",
        "cannot tell": f"none is sure to predict {losses}; the closest is a (Kendall's τ 0.60 [0.30, 0.90]).",
    }.items():
        (tmp_path / "predictors.csv").write_text(head + "\n".join(rows).replace("{}", verdict))
        assert predictors(tmp_path) == f"Of 3 measures at the start {said}"
