"""Encoders can be deep when the norm comes first, or when every layer reads all layers below it."""

from collections.abc import Iterator, Mapping

from matplotlib.figure import Figure

from normexp.studies.claim import Claim
from normexp.studies.rows import GEOMETRIC, LOSS, loss_curves
from normexp.studies.statistics import finals, paired, per_seed, trained, valid_loss
from normexp.studies.study import Runs, Study
from normexp.views.grid import where
from normexp.views.line_plot import line_plot

PAPER = "Wang et al. 2019"


class Wang2019(Study):
    """Wang et al. 2019, Learning Deep Transformer Models for Machine Translation (DLCL)."""

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        encoder = runs["encoder"]
        yield (
            "encoder_depth",
            line_plot(
                loss_curves(encoder),
                "step",
                column="model.encoder_depth",
                title=f"Training loss of deep encoders below 6 decoder layers ({PAPER}; {self.size})",
                settings=encoder.heading("variant", "model.encoder_depth"),
                caption=LOSS,
                label="nats per token",
            ),
        )
        yield (
            "stream_gradients",
            line_plot(
                where(runs["gradients"].layers("stream_grad_norm", site="feed_forward"), stack="encoder"),
                "layer",
                column="depth",
                title=f"Gradient of the stream behind every encoder layer ({PAPER}, equations 5 and 6; {self.size})",
                settings=runs["gradients"].heading("variant", "depth"),
                caption="Norm of the loss gradient, at initialisation. " + GEOMETRIC,
                label="gradient norm",
                log="y",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        frame = runs["encoder"].frame
        deep, shallow = (where(frame, **{"model.encoder_depth": depth}) for depth in (18, 6))
        share = "share of the runs that are trained, encoder of 18, decoder of 6 layers"
        yield Claim(
            "post-fails",
            "A Post-LN encoder of some 20 layers does not train.",
            f"{PAPER}, table of encoder depths",
            share,
            trained(deep, variant="post_ln"),
            high=0,
            training=True,
        )
        yield Claim(
            "pre-trains",
            "A Pre-LN encoder of some 20 layers does.",
            f"{PAPER}, table of encoder depths",
            share,
            trained(deep, variant="pre_ln"),
            low=1,
            training=True,
        )
        yield Claim(
            "dlcl-post-trains",
            "With learned mixes of all lower layers Post-LN trains at that depth, too.",
            f"{PAPER}, table of encoder depths",
            share,
            trained(deep, variant="dlcl_post"),
            low=1,
            training=True,
        )
        yield Claim(
            "deeper-is-better",
            "For Pre-LN the deeper encoder is the better one.",
            f"{PAPER}, table of encoder depths (28.9 against 27.3 BLEU)",
            "validation loss with 18 less that with 6 encoder layers, nats per token",
            paired(valid_loss(deep, variant="pre_ln"), valid_loss(shallow, variant="pre_ln")),
            high=0,
            training=True,
        )
        yield Claim(
            "dlcl-pre-better",
            "Learned mixes of layers do better than Pre-LN alone.",
            f"{PAPER}, table of encoder depths (29.3 against 28.9 BLEU)",
            "DLCL's final loss less Pre-LN's, encoder of 18 layers, nats per token",
            paired(finals(deep, variant="dlcl_pre"), finals(deep, variant="pre_ln")),
            high=0,
            training=True,
        )
        rows = runs["gradients"].layers("stream_grad_norm", stack="encoder", site="feed_forward")
        rows = where(rows, variant="pre_ln", depth=18)
        yield Claim(
            "direct-path",
            "Pre-LN passes the gradient of its top to every layer below undiminished.",
            f"{PAPER}, equation 6",
            "smallest stream gradient of any encoder layer over that of the last of 18",
            per_seed(rows, lambda seed: float(seed["value"].min() / seed.set_index("layer")["value"][18])),
            low=0.95,
        )
