"""The sentence below a study's figure, computed from the rows that it draws."""

import math

import pandas as pd

from normexp.views.figure_sentence import of_heat_map, of_histogram, of_line_plot


def rows(*values, columns=("variant", "seed", "depth", "layer", "value")):
    return pd.DataFrame(values, columns=list(columns))


LAYERS = rows(
    ("post_ln", 0, 6, 1, 5.0), ("post_ln", 0, 6, 2, 1.0), ("post_ln", 1, 6, 2, 4.0),
    ("pre_ln", 0, 6, 2, 0.5), ("pre_ln", 1, 6, 2, 0.5), ("pre_ln", 0, 3, 2, 9.0),
)  # fmt: skip


def test_a_line_plot_is_read_at_the_end_of_its_last_panel():
    said = of_line_plot(LAYERS, "layer", label="gradient norm", column="depth", log="y", caption="not used")
    assert said == "Gradient norm at layer 2 (depth 6): post_ln 2; pre_ln 0.5."  # the geometric mean of 1 and 4
    assert "post_ln 2.5" in of_line_plot(LAYERS, "layer", label="gradient norm", column="depth")


def test_a_seed_that_diverged_gives_no_mean_over_the_others():
    diverged = pd.concat([LAYERS, rows(("post_ln", 2, 6, 2, math.nan))])
    assert "post_ln not finite" in of_line_plot(diverged, "layer", label="loss", column="depth")


def test_a_curve_that_ends_early_is_not_read_where_it_ends():
    early = LAYERS[(LAYERS["variant"] == "pre_ln") | (LAYERS["layer"] == 1)]
    assert "post_ln not measured" in of_line_plot(early, "layer", label="loss", column="depth")


def test_categories_are_called_by_their_names():
    said = of_line_plot(LAYERS, "layer", label="loss", names={1: "none", 2: "10 %"}, x_label="warm-up")
    assert said.startswith("Loss at 10 %: ")


def test_many_lines_are_not_all_listed():
    many = rows(*((f"v{number}", 0, 6, 1, float(number)) for number in range(9)))
    assert of_line_plot(many, "layer", label="loss").endswith("v5 5; 3 more.")


def test_a_heat_map_is_read_at_its_largest_mean():
    fields = rows(
        ("post_ln", 0, 1, 1, 0.2), ("post_ln", 1, 1, 1, 0.4), ("post_ln", 0, 2, 1, 0.25), ("post_ln", 1, 2, 2, math.nan)
    )  # fmt: skip
    said = of_heat_map(fields, "depth", "layer", label="share", x_label="branch j", y_label="stream i")
    assert said == "Largest share: post_ln 0.3 (branch j 1 and stream i 1)."


def test_a_histogram_is_read_at_its_medians():
    layers = rows(("post_ln", "encoder", 1.0), ("post_ln", "encoder", 3.0), ("post_ln", "decoder", 8.0),
                  columns=("variant", "stack", "value"))  # fmt: skip
    assert of_histogram(layers, label="norm") == "Median norm: post_ln, encoder 2; post_ln, decoder 8."
