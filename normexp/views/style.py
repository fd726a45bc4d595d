"""The style of the figures: one colour per variant everywhere, and files that are reproducible byte for byte."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure

# The palette of Okabe and Ito, safe for colour-blind readers, without its yellow (too pale on white).
COLOURS = ("#D55E00", "#0072B2", "#000000", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (9, 2)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # one more than lines, so that the pairs differ beyond these

# Append only: the index of a variant fixes its colour in every figure.
VARIANTS = (
    *("post_ln", "pre_ln", "no_residual", "deep_norm", "admin", "b2t", "plain"),
    *("res_post_norm", "t5", "no_norm", "sandwich", "peri_ln", "keel", "admin_constant"),
    *("swin_v2", "parallel", "macaron", "sub_ln", "norm_former", "resi_dual", "dlcl_post"),
    *("mix_ln", "hybrid_norm", "layer_norm_scaling", "re_zero", "skip_init", "layer_scale", "fixup"),
    *("scaled_skip", "recursive_skip", "branch_norm", "deep_scale", "siamese_norm", "mhc", "t_fixup"),
    *("first_norm_free", "hyper_connections", "dlcl_pre", "hybrid_norm_star", "static_hyper_connections"),
    *("attention_residuals", "block_attention_residuals", "x0_lambdas", "dense_former", "span_norm"),
    *("orthogonal_update", "deep_delta", "value_residual", "mhc_lite", "identity_hyper_connections"),
)
RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so that figures agree between machines
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "figure.titlesize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.solid_capstyle": "round",
    "svg.hashsalt": "normexp",
    "pdf.fonttype": 42,  # TrueType, which journals ask for
}


class LineStyle(NamedTuple):
    """Colour, dashes and marker of one variant (or of one value of another key, where the variant does not vary)."""

    colour: str
    line: Any
    marker: str


def line_styles(names: Iterable[str]) -> dict[str, LineStyle]:
    """A line style for each name: a fixed one for the package's variants, an unused one for any other name."""
    names = list(dict.fromkeys(names))
    places = {name: VARIANTS.index(name) for name in names if name in VARIANTS}
    free = (place for place in range(len(names) + len(VARIANTS)) if place not in places.values())
    places |= {name: next(free) for name in names if name not in places}
    return {name: _style_at(places[name]) for name in names}


def text_colour(face: Sequence[float]) -> str:
    """Black or white, whichever is readable on this background (red, green, blue, …)."""
    red, green, blue = face[:3]
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else "black"


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write the figure as PNG (200 dpi), SVG and PDF; the same figure gives the same bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, svg, pdf = (stem.parent / f"{stem.name}.{kind}" for kind in ("png", "svg", "pdf"))
    figure.savefig(png, dpi=200)
    figure.savefig(svg, metadata={"Date": None})
    figure.savefig(pdf, metadata={"CreationDate": None})
    return [png, svg, pdf]


def context() -> Any:
    """The context in which figures are made and saved; it ignores the user's matplotlibrc."""
    default: dict[Any, Any] = {key: value for key, value in matplotlib.rcParamsDefault.items() if "backend" not in key}
    default.update(RC)
    return matplotlib.rc_context(default)


def _style_at(place: int) -> LineStyle:
    turn = place // len(COLOURS)
    return LineStyle(COLOURS[place % len(COLOURS)], LINES[turn % len(LINES)], MARKERS[turn % len(MARKERS)])
