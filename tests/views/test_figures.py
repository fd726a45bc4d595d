import json
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from normexp.errors import ConfigError
from normexp.views import style
from normexp.views.edge_labels import spread
from normexp.views.figures import draw
from normexp.views.grid import add_titles_and_legend, assign_axes, panels
from normexp.views.palette import VARIANTS, line_styles
from normexp.views.runs import load_runs

pytestmark = pytest.mark.filterwarnings("error")


alone = pytest.mark.usefixtures("svg_alone")


def names(files: list[Path]) -> list[str]:
    return [path.name for path in files]


@pytest.fixture(scope="module")
def drawn(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {path.name: path for path in draw(sweep, tmp_path_factory.mktemp("figures"))}


@pytest.mark.slow
def test_a_sweep_gives_two_figures_in_three_formats(drawn: dict[str, Path]) -> None:
    expected = [f"{figure}.{kind}" for figure in ("loss_curves", "gradient_norms") for kind in ("png", "svg", "pdf")]
    assert list(drawn) == expected
    assert all(path.stat().st_size > 10_000 for path in drawn.values())


@pytest.mark.slow
def test_figures_have_settings_seeds_and_baselines(drawn: dict[str, Path]) -> None:
    # Text is drawn as paths, so that it is the same everywhere; matplotlib keeps the words as comments.
    for name in ("loss_curves.svg", "gradient_norms.svg"):
        text = drawn[name].read_text()
        assert "xavier_uniform init · layer_norm" in text
        assert "n = 1–2 seeds" in text  # one failed
        assert all(f"<!-- {word} -->" in text for word in ("depth 6", "depth 18", "post_ln", "no_residual"))
    loss = drawn["loss_curves.svg"].read_text()
    baselines = ("unigram 2.93", "target bigram 2.12", "position-only 1.89", "diverged")
    assert all(f"<!-- {baseline} -->" in loss for baseline in baselines)
    gradients = drawn["gradient_norms.svg"].read_text()
    words = ("&lt; $10^{-4}$", "not finite", "step 1 (initialisation)", "step 100 (end)")
    assert all(f"<!-- {word} -->" in gradients for word in words)
    assert "Open markers" in gradients


@pytest.mark.slow
def test_drawn_twice_the_bytes_are_the_same(sweep: Path, drawn: dict[str, Path], tmp_path: Path) -> None:
    for path in draw(sweep, tmp_path):
        assert path.read_bytes() == drawn[path.name].read_bytes(), path.name


@alone
def test_a_full_folder_in_the_place_of_a_figure_is_named(tmp_path: Path) -> None:
    (tmp_path / "loss_curves.svg" / "mine").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"must be a file that can be written \(Directory not empty\)"):
        style.save(Figure(), tmp_path / "loss_curves")


@pytest.mark.slow
@alone
def test_further_keys_become_rows_lines_and_files(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(
        variant=["post_ln", "pre_ln"],
        depth=[6, 12],
        lr=[1e-3, 2e-3],
        warmup=[0, "10%"],
        init=["xavier_uniform", "normal"],
    )
    assert assign_axes(load_runs(folder)) == ("depth", "variant", ["lr", "warmup", "init"])
    files = draw(folder)
    assert files[0].parent == folder / "figures"
    curves = [path for path in files if path.name.startswith("loss_curves")]
    assert names(curves) == ["loss_curves-init=xavier_uniform.svg", "loss_curves-init=normal.svg"]
    text = curves[0].read_text()
    assert all(f"<!-- {word} -->" in text for word in ("lr 1e-3", "lr 2e-3", "no warm-up", "warm-up 10 %"))
    assert "gradient_norms-lr=1e-3,warmup=10pct,init=normal.svg" in names(files)


@pytest.mark.slow
@alone
def test_without_a_depth_sweep_another_key_makes_the_columns(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(variant=["post_ln", "pre_ln"], depth=[6], warmup=[0, "10%"], lr=[1e-3, 2e-3])
    assert assign_axes(load_runs(folder)) == ("warmup", "variant", ["lr"])
    text = draw(folder)[0].read_text()
    assert all(f"<!-- {word} -->" in text for word in ("lr 1e-3", "no warm-up", "warm-up 10 %"))


@pytest.mark.slow
@alone
def test_another_key_takes_the_colours_where_no_variant_varies(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(variant=["post_ln"], depth=[6], lr=[1e-3, 5e-4])
    assert assign_axes(load_runs(folder)).colour == "lr"
    text = draw(folder)[0].read_text()
    assert text.index("<!-- lr 5e-4 -->") < text.index("<!-- lr 1e-3 -->")


@pytest.mark.slow
@alone
def test_a_key_may_be_missing_in_some_runs(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(variant=["post_ln", "pre_ln"], depth=[6], label_smoothing=[None, 0.1])
    text = draw(folder)[0].read_text()
    assert "<!-- label_smoothing none -->" in text
    assert "<!-- label_smoothing 0.1 -->" in text


@pytest.mark.slow
@alone
def test_a_classifier_has_no_decoder_row(make_sweep: Callable[..., Path]) -> None:
    files = draw(make_sweep(task=["classification"], depth=[6], variant=["pre_ln"]))
    text = files[-1].read_text()
    assert "<!-- encoder -->" in text
    assert "<!-- decoder -->" not in text
    assert "<!-- loss (nats) -->" in files[0].read_text()


@pytest.mark.slow
@alone
def test_attention_replaces_a_missing_feed_forward(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for number, sites in enumerate((["attention"], ["attention", "feed_forward"])):
        make_run(tmp_path / "try" / str(number), depth=6, variant="post_ln", seed=number, sites=sites)
    assert "of a feed-forward or an attention sub-layer" in draw(tmp_path / "try")[-1].read_text()
    assert "of an attention sub-layer" in draw(tmp_path / "try" / "0")[-1].read_text()
    assert "of a feed-forward sub-layer" in draw(tmp_path / "try" / "1")[-1].read_text()


@pytest.mark.slow
@alone
def test_an_unfinished_sweep_draws_what_is_there(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(depth=[6, 12], variant=["post_ln"])
    done, pending = (folder / f"depth={depth},variant=post_ln-1a2b3c4d" for depth in ("06", "12"))
    for name in ("curves", "layers"):
        (pending / f"{name}.parquet").unlink()
    (pending / "status.json").write_text(json.dumps({"state": "pending"}))
    assert len(draw(folder)) == 2
    for name in ("curves", "layers"):
        (done / f"{name}.parquet").unlink()
    with pytest.raises(ValueError, match="nothing to draw in"):
        draw(folder)


@pytest.mark.slow
@alone
def test_several_sweeps_are_drawn_apart(make_sweep: Callable[..., Path]) -> None:
    one = make_sweep("one", depth=[6], variant=["post_ln"])
    two = make_sweep("two", depth=[6], variant=["pre_ln"])
    assert {path.parent for path in draw(one.parent)} == {one / "figures", two / "figures"}


def test_a_variant_has_one_style_in_every_figure() -> None:
    assert line_styles(["pre_ln", "mine"])["pre_ln"] == line_styles(["post_ln", "pre_ln"])["pre_ln"]
    assert len(set(line_styles([*VARIANTS, "mine", "yours"]).values())) == len(VARIANTS) + 2


def test_settings_do_not_end_in_a_separator() -> None:
    """Neither a line that was wrapped nor one whose last setting is empty."""
    for settings in ("xavier init · n = 3 seeds · ", "xavier init · · n = 3 seeds", " · xavier init · n = 3 seeds"):
        figure, _ = panels(1, 1, row_height=2)
        add_titles_and_legend(figure, "Title", settings, "caption", [])
        assert figure.texts[1].get_text() == "xavier init · n = 3 seeds"
    figure, _ = panels(1, 1, row_height=2)
    add_titles_and_legend(figure, "Title", " · ".join(f"setting {number}" for number in range(20)), "", [])
    lines = [text.get_text() for text in figure.texts[1:]]
    assert len(lines) > 1
    assert not any(line.strip().startswith("·") or line.strip().endswith("·") for line in lines)
    assert "setting 19" in lines[-1]


def test_labels_are_moved_apart_and_no_further() -> None:
    assert spread([1.0, 3.0], 0.5) == [1.0, 3.0]
    assert spread([1.0, 1.2], 0.5) == pytest.approx([0.85, 1.35])
    assert spread([1.0, 1.2, 1.5], 0.5) == pytest.approx([1.2333 - 0.5, 1.2333, 1.2333 + 0.5], abs=1e-3)


def test_nothing_is_drawn_through_a_link(tmp_path):
    """Which in a stranger's results may lead anywhere. A folder that the user names may be one."""
    (tmp_path / "figures").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match=r"figures must be a folder, not a link; remove it$"):
        style.folder(tmp_path / "figures", "default")
