"""The graph of every variant of configs/variant as one table, held against what the running model shows."""

from dataclasses import dataclass, fields
from fnmatch import fnmatch
from functools import cache
from typing import Any

import pytest
import torch

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.variants.pre_ln import PreLN
from tests.support.configs import small_config
from tests.support.graph_observer import observe
from tests.support.models import TORCH_DEFAULT, built, node
from tests.support.references.comparison import DEPTHS
from tests.support.start_observer import scaled, shared

VARIANTS = sorted(Composer("train").options("variant"))
Cell = str | dict[str, str]  # one text for all, or by pattern of the site's (or layer's) name, of which the last counts


@dataclass(frozen=True)
class Row:
    """The graph of one variant: the norms, sums and scales on each path, in the order in which a vector meets them.

    main: the stream's own way through a site; `none` where there is no way around the branch.
    branch: what the branch alone has, F for the sub-layer itself; F[…] names what is called inside it.
    Several ways are separated by commas. `bottom:` starts at the input of the layer, `1:` and `2:` at another stream.
    queries, memory: norms that cross-attention has on what it reads, in addition to those on the streams;
    heads: after the projection, head by head.
    identity: the factor on a gradient on its way down past silent branches; `normed` where no size comes through.
    opens, closes: before the first layer and after the last. reads, leaves: of a layer, outside its sites.
    scaled: matrices that start as post_ln's times a factor. encoder / decoder where the two differ.
    """

    main: Cell
    branch: Cell
    identity: str
    closes: str = "nothing"
    queries: Cell = "no"
    scaled: str = "nothing"
    opens: str = "nothing"
    memory: Cell = "no"
    reads: Cell = "nothing"
    leaves: Cell = "nothing"


PRE_LN = {"closes": "norm", "queries": "yes"}
INSIDE = {"*.cross_attention": "norm F", "*.feed_forward": "norm F[fc1 norm fc2]"}
QKV_NORMED, DEPTHWISE = "F[query norm key norm value norm out]", "value out fc1 fc2"
HC_WEIGHTS, MHC_WEIGHTS = "norm mix tanh scale shift", "norm mix scale shift"  # what a token's own weights come from
READ, SHARES = "mix", "norm mix softmax"  # of attention residuals
SECOND_OF_TWO = ("decoder.0[13].cross_attention", "decoder.0[24].attention", "decoder.0[24].feed_forward")

TABLE = {
    # Controls.
    "plain": Row("none", "F", "0"),
    "no_residual": Row("none", "F norm", "0"),
    "no_norm": Row("sum", "F", "1"),
    "skipless": Row(
        {"*": "sum", "*.attention": "none", "*.feed_forward": "scale sum"},
        {"*": "norm F", "*.attention": "norm F[query key tap shaped] scale", "*.feed_forward": "norm F scale"},
        "0",
        scaled="attention.query=0 attention.value=0",
        **PRE_LN,
    ),
    # The norm on the main path, after the sum.
    "post_ln": Row("sum norm", "F", "normed"),
    "admin": Row("scale sum norm", "F", "normed"),
    "admin_constant": Row("scale sum norm", "F", "normed"),
    "scaled_skip": Row("scale sum norm", "F", "normed"),
    "deep_norm": Row("scale sum norm", "F", "normed", scaled=DEPTHWISE),
    "keel": Row(
        {"*": "scale sum norm", "*.01.*": "sum norm", "*.01.attention": "sum"}, "norm F", "normed", queries="yes"
    ),
    "branch_norm": Row("sum norm", "F scale", "normed"),
    "recursive_skip": Row("sum norm, sum norm sum norm", "F", "normed"),
    "b2t": Row({"*": "sum norm", "*.feed_forward": "sum sum norm, bottom: sum sum norm"}, "F", "normed"),
    # The norm in the branch, before the sub-layer.
    "pre_ln": Row("sum", "norm F", "1", **PRE_LN),
    "t5": Row("sum", "rms F", "1", closes="rms", queries="yes"),
    "first_norm_free": Row("sum", {"*": "norm F", "*.01.attention": "F"}, "1", **PRE_LN),
    "layer_norm_scaling": Row("sum", "norm scale F", "1", **PRE_LN),
    "layer_scale": Row("sum", "norm F scale", "1", **PRE_LN),
    "deep_scale": Row("scale sum", "norm F scale", "0.296 / 0.178", **PRE_LN),
    "macaron": Row("sum", {"*": "norm F", "*.feed_forward*": "norm F scale"}, "1", **PRE_LN),
    "parallel": Row("sum", {"*": "bottom: norm F", "*.attention": "norm F"}, "1", **PRE_LN),
    # … after it, or on both sides.
    "res_post_norm": Row("sum", "F norm", "1", closes="norm"),
    "swin_v2": Row("sum", "F norm", "1", closes="norm"),
    "sandwich": Row("sum", "norm F norm", "1", **PRE_LN),
    "peri_ln": Row("sum", "norm F norm", "1", opens="norm", **PRE_LN),
    # … and inside it.
    "norm_former": Row("sum", {**INSIDE, "*.attention": "norm F[query key value headgain out norm]"}, "1", **PRE_LN),
    "sub_ln": Row(
        "sum",
        {**INSIDE, "*.attention": "norm F[query key value norm out]"},
        "1",
        scaled="attention.value attention.out fc1 fc2",
        **PRE_LN,
    ),
    # Stacks that differ, and sites that do.
    "per_stack": Row(
        {"encoder.*": "sum norm", "decoder.*": "sum"},
        {"encoder.*": "F", "decoder.*": "norm F"},
        "normed / 1",
        closes="nothing / norm",
        queries="yes",
    ),
    "mix_ln": Row(  # ⌊3/4⌋ = 0 Post-LN layers in the encoder, ⌊4/4⌋ = 1 in the decoder
        {"*": "sum", "decoder.01.*": "sum norm"},
        {"*": "norm F", "decoder.01.*": "F"},
        "1 / normed",
        closes="norm",
        queries={"*": "yes", "decoder.01.*": "no"},
    ),
    "hybrid_norm": Row(
        {"*": "sum", "*.feed_forward": "norm sum"},
        {"*": QKV_NORMED, "*.feed_forward": "F"},
        "normed",
        closes="norm",
        queries="heads",
        memory="heads",
    ),
    "hybrid_norm_star": Row(
        {"*": "sum", "*.feed_forward": "norm sum", "*.01.feed_forward": "sum"},
        {"*": QKV_NORMED, "*.01.*": f"norm {QKV_NORMED}", "*.feed_forward": "F", "*.01.feed_forward": "norm F"},
        "normed",
        closes="norm",
        queries={"*": "heads", "*.01.*": "yes heads"},
        memory="heads",
    ),
    # No norm.
    "re_zero": Row("sum", "F scale", "1"),
    "skip_init": Row("sum", "F scale", "1"),
    "t_fixup": Row("sum", "F", "1", scaled=f"embedding {DEPTHWISE}"),
    "fixup": Row(
        "sum",
        {
            "*attention": "F[shift query key value out multiplier]",
            "*.feed_forward": "F[shift fc1 shift shift fc2 multiplier]",
        },
        "1",
        closes="shift scale / shift",
        scaled="query key value out=0 fc1 fc2=0 head=0",
    ),
    # Several streams, or several layers' outputs in one.
    "resi_dual": Row(
        {"* 1": "sum norm", "* 2": "sum"},
        {"* 1": "F", "* 2": "1: F scale"},
        "normed, 1",
        closes="sum, norm sum",
        opens="nothing, scale",
    ),
    "siamese_norm": Row(
        {"* 1": "norm sum", "* 2": "sum"},
        {"* 1": "sum norm F scale, 2: norm sum norm F scale", "* 2": "norm sum norm F, 1: norm sum norm F"},
        "normed, 1",
        closes="norm sum norm",
        queries="yes",
        opens="nothing, nothing",
    ),
    "dlcl_pre": Row(
        "sum", "norm F", "normed", closes="stack mix norm", queries="yes", reads="stack mix", leaves="norm"
    ),
    "dlcl_post": Row(
        "sum norm", "F", "normed", closes="stack mix norm", reads={"*": "stack mix norm", "*.01": "stack mix"}
    ),
    "static_hyper_connections": Row("mix sum", "mix norm F mix", "1", closes="sum norm", queries="yes", opens="stack"),
    "hyper_connections": Row(
        f"mix sum, {HC_WEIGHTS} mix sum",
        "mix norm F, mix tanh scale shift mix norm F",
        "1",
        closes="sum norm",
        queries="yes",
        opens="stack",
    ),
    "mhc": Row(
        f"mix sum, {MHC_WEIGHTS} sinkhorn mix sum, {MHC_WEIGHTS} sigmoid scale mix sum",
        "mix norm F, mix scale shift sigmoid mix norm F",
        "1",
        closes="sum norm",
        queries="yes",
        opens="stack",
    ),
    "mhc_lite": Row(
        f"mix sum, {MHC_WEIGHTS} softmax mix mix sum, {MHC_WEIGHTS} sigmoid scale mix sum",
        "mix norm F, mix scale shift sigmoid mix norm F",
        "1",
        closes="sum norm",
        queries="yes",
        opens="stack",
    ),
    "identity_hyper_connections": Row(
        f"sum, {MHC_WEIGHTS} sigmoid scale mix sum",
        "mix norm F, mix scale shift sigmoid mix norm F",
        "1",
        closes="sum norm",
        queries="yes",
        opens="stack",
    ),
    "frac_connections": Row(
        f"mix sum, {HC_WEIGHTS} mix sum, {HC_WEIGHTS} unsqueeze scale sum",
        "mix norm F, mix tanh scale shift mix norm F",
        "1",
        **PRE_LN,
    ),
    "attention_residuals": Row(
        "cat",
        {"*": f"{READ} norm F stack, {SHARES} mix norm F stack", "*.01.attention": "mean norm F stack"},
        "0.143 / 0.0769",  # the average of 7 and of 13 sources
        closes=f"{READ} norm, {SHARES} mix norm",
        queries="yes",
        opens="stack",
    ),
    "block_attention_residuals": Row(  # 6 sub-layers are 6 blocks; 12 are 6 blocks of two
        {"*": "cat", **dict.fromkeys(SECOND_OF_TWO, "sum")},
        {
            "*": f"{READ} norm F stack, {SHARES} mix norm F stack",
            "*.01.attention": "mean norm F stack",
            **dict.fromkeys(SECOND_OF_TWO, f"{READ} norm F mix, {SHARES} mix norm F mix"),
        },
        "0.143",
        closes=f"{READ} norm, {SHARES} mix norm",
        queries="yes",
        opens="stack",
    ),
    "dense_former": Row(
        "sum", "norm F", "1", closes="stack mix norm", queries="yes", reads={"*": "stack mix", "*.01": "nothing"}
    ),
    "x0_lambdas": Row(
        "sum", "norm F", "neither, 1", closes="norm", queries="yes", opens="nothing, nothing", reads="scale sum"
    ),
    # Other sums.
    "span_norm": Row(
        {"*": "sum norm", "*.feed_forward": "bottom: sum norm"}, {"*": "F", "*.01.attention": "norm F"}, "normed"
    ),
    "orthogonal_update": Row(
        "sum sub, scale sub, scale sum scale scale sub, scale sum clamp scale scale sub", "norm F", "1", **PRE_LN
    ),
    "deep_delta": Row(
        "sum, scale sum sub scale unsqueeze scale sum, mix shift sigmoid scale sub scale unsqueeze scale sum, "
        "norm mix shift sigmoid scale scale unsqueeze scale sum",
        "F scale, F scale sum shift sqrt scale",
        "1",
        **PRE_LN,
    ),
    "mv_split": Row(
        "sum sum norm, tokenmean sub scale sum norm",
        "F sub scale, F tokenmean, F tokenmean sub scale",
        "normed",
        opens="norm",
    ),
    # On a sphere.
    "ngpt": Row(
        "sum unitnorm, sub scale sum unitnorm",
        {"*": "F[query queries key keys value out] unitnorm", "*.feed_forward": "F[fc1 hiddengain fc2] unitnorm"},
        "normed",
        opens="unitnorm",
        closes="nothing / scale",
        scaled="embedding≠ query≠ key≠ value≠ out≠ fc1≠ fc2≠ head≠",  # each column or row by its own norm
    ),
    # Values of attention from another layer.
    "value_residual": Row(
        "sum",
        {
            "*": "norm F",
            "*attention": "norm F[query key value mixedvalue out]",
            "*.01.*attention": "norm F[query key value firstvalue out]",
        },
        "1",
        **PRE_LN,
    ),
}


# -- the table against the models -------------------------------------------------------------------------------------


def graph_model(variant: dict[str, Any]) -> Any:
    """Unequal depths and an untied head, with initial weights."""
    config = small_config(variant=variant, init=TORCH_DEFAULT, model={**DEPTHS, "tied": False})
    return built(config).double().eval()


@cache
def observed(name: str) -> dict[str, Any]:
    """Every column of the table, as the model shows it."""
    return columns_of(graph_model(node(name)))


def columns_of(model: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    return {**vars(observe(model)), "scaled": scaled(model, graph_model(node("post_ln")))}


def complaints(found: dict[str, Any], row: Row) -> dict[str, list[str]]:
    """By column, what is not as the row says."""
    wrong: dict[str, list[str]] = {}
    for column in (f.name for f in fields(Row)):
        cell, seen = getattr(row, column), found[column]
        by_place = seen if isinstance(seen, dict) else {"all": seen}
        for place, value in by_place.items():
            said = at(cell, place)
            if value != said:
                wrong.setdefault(column, []).append(f"{place}: {value}; the table says {said}")
        for pattern in cell if isinstance(cell, dict) else ():
            if not any(fnmatch(place, pattern) for place in by_place):
                wrong.setdefault(column, []).append(f"{pattern}: there is no such place")
    return wrong


def at(cell: Cell, place: str) -> str:
    if isinstance(cell, str):
        return cell
    return ([text for pattern, text in cell.items() if fnmatch(place, pattern)] or ["nothing of it"])[-1]


def test_every_variant_that_cites_a_paper_has_a_row():
    """One of the user's own may do without."""
    cited = {name for name in VARIANTS if Choice.of("variant", node(name)).cls.paper}
    missing = sorted(cited - set(TABLE))
    assert not missing, f"tests/variants/test_graph_table.py has no row for {', '.join(missing)}"
    assert set(TABLE) <= set(VARIANTS)


@pytest.mark.parametrize("name", TABLE)
def test_the_running_model_is_what_its_row_says(name):
    assert complaints(observed(name), TABLE[name]) == {}


@pytest.mark.parametrize("name", TABLE)
def test_no_two_layers_start_alike(name):
    assert shared(graph_model(node(name))) == []


# -- a wrong graph is seen --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("graph", "row", "columns"),
    [
        ("pre_ln", "post_ln", {"main", "branch", "identity", "closes", "queries"}),
        ("post_ln", "pre_ln", {"main", "branch", "identity", "closes", "queries"}),
        ("no_residual", "post_ln", {"main", "branch", "identity"}),
        ("sandwich", "pre_ln", {"branch"}),
        ("res_post_norm", "pre_ln", {"branch", "queries"}),
        ("peri_ln", "sandwich", {"opens"}),
        ("sub_ln", "pre_ln", {"branch", "scaled"}),
        ("parallel", "pre_ln", {"branch"}),
        ("mix_ln", "pre_ln", {"main", "branch", "identity", "queries"}),
        ("b2t", "post_ln", {"main"}),
        ("hybrid_norm", "hybrid_norm_star", {"main", "branch", "queries"}),
        ("admin_constant", "deep_norm", {"scaled"}),
        ("t_fixup", "no_norm", {"scaled"}),
        ("dlcl_post", "post_ln", {"closes", "reads"}),
        ("resi_dual", "siamese_norm", {"main", "branch", "closes", "queries", "opens"}),
    ],
)
def test_another_graph_in_its_place_is_seen(graph, row, columns):
    assert set(complaints(observed(graph), TABLE[row])) == columns


class Unclosed(PreLN):
    """Pre-LN whose last norm was forgotten."""

    def finish_stream(self, stream):
        return stream


class NormedMemory(PreLN):
    """Pre-LN with the norm of cross-attention on the memory too."""

    def join(self, x, site):
        context, memory = site.context, site.context.memory
        if site.kind == "cross_attention":
            context.memory = site.norm(memory)
        try:
            return super().join(x, site)
        finally:
            context.memory = memory


@pytest.mark.parametrize(("slip", "columns"), [(Unclosed, {"closes"}), (NormedMemory, {"memory"})])
def test_a_slip_is_seen(slip, columns, monkeypatch):
    monkeypatch.setattr("normexp.variants.pre_ln.PreLN", slip)
    assert set(complaints(columns_of(graph_model(node("pre_ln"))), TABLE["pre_ln"])) == columns


def test_a_scaled_bias_and_a_layer_copied_from_another_are_seen():
    model = graph_model(node("pre_ln"))
    lower, upper = (sites[0].sublayer for sites in model.encoder.sites_by_layer[:2])
    with torch.no_grad():
        upper.out.bias *= 2
        upper.value.weight.copy_(lower.value.weight)
    upper.query = lower.query
    assert scaled(model, graph_model(node("post_ln"))).split()[-1] == "attention.bias"
    assert shared(model) == [
        "encoder.01 and encoder.02 share query.weight of attention",
        "encoder.01 and encoder.02 share query.bias of attention",
        "encoder.01 and encoder.02 start alike in value.weight of attention",
    ]
