"""How much the output moves with the weights, and how much each layer relies on its own branch."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.claim import Claim
from normexp.studies.rows import GEOMETRIC, fc2_gradients
from normexp.studies.statistics import exponent, per_seed, r_squared, rate, ratio, trained
from normexp.studies.study import Runs, Study
from normexp.views.grid import where
from normexp.views.heat_map import heat_map
from normexp.views.histogram import histogram
from normexp.views.line_plot import line_plot

PAPER = "Liu et al. 2020"


class Liu2020(Study):
    """Liu et al. 2020, Understanding the Difficulty of Training Transformers (Admin)."""

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        yield (
            "output_shift",
            line_plot(
                shifts(runs["shift"]),
                "sub-layers",
                title=f"How far the output moves with the weights ({PAPER}, figure of output changes; {self.size})",
                settings=runs["shift"].heading("variant", "depth"),
                caption="Mean squared distance per token between the outputs of an encoder before and after every "
                f"matrix gets Gaussian noise of standard deviation 1e-3, at initialisation. {GEOMETRIC}",
                label="‖f(x, W + δ) − f(x, W)‖²",
                log="xy",
            ),
        )
        yield (
            "relative_gradients",
            histogram(
                where(relative(runs["gradients"]), depth=18),
                title=f"Relative gradient norms of the stream at 18-18 ({PAPER}, histogram; {self.size})",
                settings=runs["gradients"].heading("variant", "depth"),
                caption="Norm of the loss gradient for the stream behind every site, over the largest of its network, "
                "at initialisation; all seeds.",
                label="relative gradient norm",
            ),
        )
        maps = runs["dependency"].layers("dependency_map", stack="encoder")
        for depth in (6, 18):
            yield (
                f"dependency_{depth}",
                heat_map(
                    positions(where(maps, depth=depth)),
                    "branch",
                    "stream",
                    title=f"Residual dependency, {depth} layers ({PAPER}, dependency maps; {self.size})",
                    settings=runs["dependency"].heading("variant", "depth"),
                    caption="Share (as a standard deviation) of branch j in the stream behind site i, at "
                    "initialisation; 0 is the embedding. Mean over the seeds.",
                    label="share",
                    x_label="branch j",
                    y_label="stream i",
                ),
            )
        yield (
            "dependency_in_training",
            line_plot(
                positions_of_sites(runs["deep"].layers("dependency", parameter="", stack="decoder")),
                "site",
                column="step",
                title=f"Dependency on the own branch in training, decoder of 18 layers ({PAPER}; {self.size})",
                settings=runs["deep"].heading("variant", "depth"),
                caption="Share of the variance of the stream behind a site that its own branch gives, at the first "
                f"and at the last step. {GEOMETRIC}",
                label="Var F / Var x",
                log="y",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        yield from _output_changes(runs["shift"])
        yield from _gradients(runs["gradients"])
        yield from _dependency(runs["dependency"])
        yield from _training(runs["deep"])


def _output_changes(runs: Runs) -> Iterator[Claim]:
    rows = shifts(runs)
    slopes = {
        variant: per_seed(where(rows, variant=variant), lambda seed: exponent(seed["sub-layers"], seed["value"]))
        for variant in ("post_ln", "pre_ln", "admin")
    }
    slope = "exponent p of change ∝ sub-layers^p"
    yield Claim(
        "shift-post",
        "The change of Post-LN's output grows in proportion to the depth.",
        f"{PAPER}, theorem 2",
        slope,
        slopes["post_ln"],
        low=0.8,
    )
    yield Claim(
        "shift-pre",
        "Pre-LN's grows more slowly.",
        f"{PAPER}, theorem 2",
        f"Post-LN's {slope} less Pre-LN's",
        [post - pre for post, pre in zip(slopes["post_ln"], slopes["pre_ln"], strict=True)],
        low=0.25,
    )
    yield Claim(
        "shift-admin",
        "Admin's grows like Pre-LN's.",
        f"{PAPER}, section 5 and figure of output changes",
        f"distance of Admin's {slope} from Pre-LN's",
        [abs(admin - pre) for admin, pre in zip(slopes["admin"], slopes["pre_ln"], strict=True)],
        high=0.15,
    )
    at64 = {v: where(rows, variant=v, depth=32).set_index("seed")["value"] for v in ("post_ln", "pre_ln")}
    yield Claim(
        "shift-64",
        "At 64 sub-layers Post-LN's output moves several times as far as Pre-LN's.",
        f"{PAPER}, figure of output changes",
        "Post-LN's change over Pre-LN's",
        list(at64["post_ln"] / at64["pre_ln"]),
        low=2,
    )

    def log_beats_line(seed: pd.DataFrame) -> float:
        x, y = seed["sub-layers"], seed["value"]
        return r_squared(np.log(x), y) - r_squared(x, y)

    yield Claim(
        "shift-log",
        "Pre-LN's grows with the logarithm of the depth rather than with the depth.",
        f"{PAPER}, theorem 2",
        "R² of a line over log sub-layers less R² of a line over sub-layers",
        per_seed(where(rows, variant="pre_ln"), log_beats_line),
        low=0,
    )


def _gradients(runs: Runs) -> Iterator[Claim]:
    deep = where(fc2_gradients(runs), depth=18, variant="post_ln")
    yield Claim(
        "decoder-vanishes",
        "Gradients of a Post-LN decoder vanish towards its input.",
        f"{PAPER}, section 3.2",
        "r of gradient ∝ e^(r·layer), decoder of 18 layers",
        per_seed(where(deep, stack="decoder"), lambda seed: rate(seed["layer"], seed["value"])),
        low=0.15,
    )
    yield Claim(
        "encoder-does-not",
        "Those of a Post-LN encoder do not.",
        f"{PAPER}, theorem 1",
        "largest over smallest norm, encoder of 18 layers",
        per_seed(where(deep, stack="encoder"), lambda seed: ratio(seed["value"])),
        high=3,
    )


def _dependency(runs: Runs) -> Iterator[Claim]:
    rows = positions_of_sites(where(runs.layers("dependency", stack="encoder"), parameter=""))
    deep = where(rows, depth=18)
    post, pre, admin = (where(deep, variant=variant) for variant in ("post_ln", "pre_ln", "admin"))
    share = "share of the own branch in the variance of the stream, mean over the sites"
    yield Claim(
        "dependency-post",
        "A Post-LN layer takes about half of its variance from its own branch, at every depth.",
        f"{PAPER}, section 4.1",
        share,
        per_seed(post, lambda seed: seed["value"].mean()),
        0.15,
        0.4,
    )

    def off_one_over_i(seed: pd.DataFrame) -> float:
        values = np.log(seed["value"].to_numpy() * seed["site"].to_numpy())
        return float(np.exp(np.abs(values - values.mean()).max()))

    yield Claim(
        "dependency-pre",
        "A Pre-LN sub-layer's share falls like 1/i, i its place.",
        f"{PAPER}, section 4.1",
        "largest factor between share × i and its geometric mean",
        per_seed(pre, off_one_over_i),
        high=2,
    )
    ratios = {v: per_seed(part, lambda seed: seed["value"].mean()) for v, part in (("pre", pre), ("admin", admin))}
    yield Claim(
        "dependency-admin",
        "At initialisation Admin relies on its branches as little as Pre-LN does.",
        f"{PAPER}, section 5 and maps of 18 layers",
        f"Admin's {share}, over Pre-LN's",
        [a / p for a, p in zip(ratios["admin"], ratios["pre"], strict=True)],
        0.5,
        2,
    )


def _training(runs: Runs) -> Iterator[Claim]:
    yield Claim(
        "post-18",
        "Post-LN of 18 layers does not train.",
        f"{PAPER}, table of WMT'14",
        "share of the runs that are trained",
        trained(runs.frame, variant="post_ln"),
        high=0,
        training=True,
    )
    yield Claim(
        "admin-18",
        "Admin of 18 layers trains.",
        f"{PAPER}, table of WMT'14",
        "share of the runs that are trained",
        trained(runs.frame, variant="admin"),
        low=1,
        training=True,
    )
    rows = where(runs.layers("dependency", stack="decoder"), parameter="")
    last = where(rows, step=rows["step"].max())
    means = {v: where(last, variant=v).groupby("seed")["value"].mean() for v in ("admin", "pre_ln")}
    yield Claim(
        "admin-relies",
        "After training Admin relies more on its branches than Pre-LN does.",
        f"{PAPER}, maps of 18 layers after training",
        "mean share of the own branch, Admin's over Pre-LN's, decoder",
        list(means["admin"] / means["pre_ln"]),
        low=1,
        training=True,
    )
    first = runs.layers("grad_norm", "update_norm", stack="decoder", site="feed_forward", parameter="fc2.weight")
    first = where(first, step=1, variant="post_ln")
    yield Claim(
        "adam-balances",
        "Where Post-LN's gradients vanish, Adam's updates are still of one size.",
        f"{PAPER}, section 3.3",
        "largest over smallest gradient of fc2 in the decoder, over the same of the updates",
        per_seed(
            first,
            lambda seed: (
                ratio(where(seed, statistic="grad_norm")["value"])
                / ratio(where(seed, statistic="update_norm")["value"])
            ),
        ),
        low=10,
        training=True,
    )


def shifts(runs: Runs) -> pd.DataFrame:
    """The change of every encoder's output, beside its number of sub-layers."""
    rows = runs.layers("output_shift", stack="encoder", layer=0)
    return rows.assign(**{"sub-layers": 2 * rows["depth"]})


def relative(runs: Runs) -> pd.DataFrame:
    """The relative gradient norm of the stream behind every site."""
    return runs.layers("stream_grad_relative")


def positions_of_sites(rows: pd.DataFrame) -> pd.DataFrame:
    """The same with `site` as its place in the stack, from 1; of several steps the first and the last."""
    kinds = {kind: place for place, kind in enumerate(dict.fromkeys(rows["site"]))}
    place = (rows["layer"] - 1) * len(kinds) + rows["site"].map(kinds) + 1
    ends = rows["step"].isin((rows["step"].min(), rows["step"].max()))
    return rows.assign(site=place)[ends]


def positions(maps: pd.DataFrame) -> pd.DataFrame:
    """A dependency map's rows with `stream` and `branch` as places in the stack, the embedding as 0."""
    rows = positions_of_sites(maps).rename(columns={"site": "stream"})
    kinds = list(dict.fromkeys(maps["site"]))
    places = {"embedding": 0} | {
        name: (int(name.split(".")[1]) - 1) * len(kinds) + kinds.index(name.rpartition(".")[2]) + 1
        for name in rows["parameter"].unique()
        if name != "embedding"
    }
    return rows.assign(branch=rows["parameter"].map(places)).sort_values(["stream", "branch"], kind="stable")
