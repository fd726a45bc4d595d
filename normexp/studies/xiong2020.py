"""Where the norm sits decides how large the gradients near the output are when training starts."""

from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.claim import Claim
from normexp.studies.statistics import exponent, per_seed, ratio
from normexp.studies.study import Runs, Study
from normexp.views import words
from normexp.views.xy import xy

PAPER = "Xiong et al. 2020"


class Xiong2020(Study):
    """Xiong et al. 2020, On Layer Normalization in the Transformer Architecture."""

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        rows = last_gradient(runs["size"])
        yield (
            "last_gradient",
            xy(
                rows,
                "depth",
                title=f"Gradient of the last feed-forward matrix against depth ({PAPER}, figure 3c, d; {self.size})",
                settings=words.heading(runs["size"].frame, ["variant", "depth", "seed"]),
                caption="Frobenius norm of the loss gradient for fc2 of the last decoder layer, at initialisation. "
                "Lines: geometric mean over the seeds. Bands: smallest to largest seed.",
                label="gradient norm",
                x_label="layers in encoder and decoder",
                log="xy",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        rows = last_gradient(runs["size"])
        post, pre = (rows[rows["variant"] == variant] for variant in ("post_ln", "pre_ln"))
        slope = "exponent p of norm ∝ depth^p"
        yield Claim(
            "post-flat",
            "Post-LN's gradient near the output does not depend on the depth.",
            f"{PAPER}, theorem 1 and figure 3c",
            slope,
            per_seed(post, lambda seed: exponent(seed["depth"], seed["value"])),
            -0.25,
            0.15,
        )
        yield Claim(
            "pre-falls",
            "Pre-LN's falls like a power of the depth (in theory −1/2).",
            f"{PAPER}, theorem 1 and figure 3d",
            slope,
            per_seed(pre, lambda seed: exponent(seed["depth"], seed["value"])),
            -0.9,
            -0.35,
        )
        yield Claim(
            "post-level",
            "Over 6 to 14 layers Post-LN's stays within a third.",
            f"{PAPER}, figure 3c",
            "largest over smallest norm, 6 to 14 layers",
            per_seed(post[post["depth"].between(6, 14)], lambda seed: ratio(seed["value"])),
            1.0,
            1.3,
        )


def last_gradient(runs: Runs) -> pd.DataFrame:
    """The gradient norm of fc2 of the last decoder layer of every run."""
    rows = runs.layers("grad_norm", stack="decoder", site="feed_forward", parameter="fc2.weight")
    return rows[rows["layer"] == rows["depth"]]
