"""Which colour, dashes and marker a line has: one colour means one thing in every figure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

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
    *("ngpt", "mv_split", "frac_connections", "per_stack", "skipless"),
)
# Other keys have other colours, so that orange is never both Post-LN and a learning rate: those of Paul Tol's scheme
# "muted", safe for colour-blind readers too. Append only, as above.
OTHERS = ("#332288", "#CC6677", "#117733", "#AA4499", "#88CCEE", "#999933", "#882255", "#44AA99", "#DDCC77")
KNOWN = {
    "stack": ("encoder", "decoder"),
    "init": (
        *("xavier_uniform", "xavier_normal", "torch_default", "normal", "small", "post_ln_init"),
        *("ds_init", "gpt2", "uniform_attention"),
    ),
}


class LineStyle(NamedTuple):
    """Colour, dashes and marker of one value of a key."""

    colour: str
    line: Any
    marker: str


def line_styles(names: Iterable[str]) -> dict[str, LineStyle]:
    """A line style for each variant: a fixed one for the package's, one that none of them has for any other name."""
    names = list(dict.fromkeys(names))
    own = sorted(name for name in names if name not in VARIANTS)
    places = {name: place for place, name in enumerate((*VARIANTS, *own))}
    return {name: _style_at(places[name], COLOURS) for name in names}


def other_styles(key: str, names: Iterable[str]) -> dict[str, LineStyle]:
    """A line style for each value of a key other than the variant: a fixed one where the value is in KNOWN."""
    names = list(dict.fromkeys(names))
    known = KNOWN.get(key, ())
    places = {name: place for place, name in enumerate((*known, *(name for name in names if name not in known)))}
    return {name: _style_at(places[name], OTHERS) for name in names}


def ordered_styles(names: Sequence[str]) -> dict[str, LineStyle]:
    """A line style for each of ascending numbers, from dark to light."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.88, len(names)))
    return {
        name: LineStyle(to_hex(shade), "-", MARKERS[place % len(MARKERS)])
        for place, (name, shade) in enumerate(zip(names, shades, strict=True))
    }


def of_points(styles: Mapping[str, LineStyle]) -> dict[str, LineStyle]:
    """The same styles for points without lines: one whose colour an earlier one has gets a colour that is free."""
    found: dict[str, LineStyle] = {}
    for name, style in styles.items():
        taken = {each.colour for each in (*found.values(), *styles.values())}
        free = next((colour for colour in COLOURS if colour not in taken), style.colour)
        again = style.colour in {each.colour for each in found.values()}
        found[name] = style._replace(colour=free) if again else style
    return found


def _style_at(place: int, colours: Sequence[str]) -> LineStyle:
    turn = place // len(colours)
    return LineStyle(colours[place % len(colours)], LINES[turn % len(LINES)], MARKERS[turn % len(MARKERS)])
