"""Pre-LN with a second norm inside every branch, and larger weights at the start."""

import math

from torch import nn

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class SubLN(PreLN):
    """Pre-LN with a norm before the output projection and before fc2, and larger initial weights.

    value, out, fc1 and fc2 start larger by a factor that grows with depth: √ln(2N) in an encoder alone, √ln(2M) in a
    decoder alone; in an encoder-decoder √(ln(3M) ln(2N)/3) in the encoder and √ln(3M) in the decoder. Cross-attention
    gets neither inner norm nor factor, as in the authors' torchscale.
    """

    equation = "x ← x + W LN(f(LN(x))), W the branch's last matrix, LN at the end"
    paper = "wang2022_magneto"
    verified = "authors' code (torchscale)"
    needs_feed_forward = True

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        slots = {"attention": ("before_out", site.width), "feed_forward": ("before_fc2", site.shape.feed_forward)}
        if site.kind not in slots:
            return {}
        slot, width = slots[site.kind]
        return {slot: self.make_norm(width)}

    def init_scale(self, site: Site | None, role: str) -> float:
        if site is None or site.kind == "cross_attention" or role not in ("value", "out", "fc1", "fc2"):
            return 1.0
        n, m = site.encoder_depth, site.decoder_depth
        if not (n and m):
            return math.sqrt(math.log(2 * (n or m)))
        decoder = math.log(3 * m)
        return math.sqrt(decoder if site.shape.stack == "decoder" else decoder * math.log(2 * n) / 3)
