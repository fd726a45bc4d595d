"""What a legend calls the value of a key: on a screen as in the config, in a paper as in the literature."""

import re

from normexp.views import formatting
from normexp.views.style import sheet

VARIANTS = {
    **{"post_ln": "Post-LN", "pre_ln": "Pre-LN", "no_residual": "no residual", "deep_norm": "DeepNorm"},
    **{"admin": "Admin", "b2t": "B2T", "plain": "plain", "res_post_norm": "Res-Post-Norm", "t5": "T5"},
    **{"no_norm": "no norm", "sandwich": "Sandwich-LN", "peri_ln": "Peri-LN", "keel": "Keel"},
    **{"admin_constant": "Admin (constant)", "swin_v2": "Swin V2", "parallel": "parallel", "macaron": "Macaron"},
    **{"sub_ln": "Sub-LN", "norm_former": "NormFormer", "resi_dual": "ResiDual", "dlcl_post": "DLCL (Post-LN)"},
    **{"mix_ln": "Mix-LN", "hybrid_norm": "HybridNorm", "layer_norm_scaling": "LayerNorm scaling"},
    **{"re_zero": "ReZero", "skip_init": "SkipInit", "layer_scale": "LayerScale", "fixup": "Fixup"},
    **{"scaled_skip": "scaled skip", "recursive_skip": "recursive skip", "branch_norm": "BranchNorm"},
    **{"deep_scale": "DeepScale", "siamese_norm": "SiameseNorm", "mhc": "mHC", "t_fixup": "T-Fixup"},
    **{"first_norm_free": "first norm free", "hyper_connections": "hyper-connections"},
    **{"dlcl_pre": "DLCL (Pre-LN)", "hybrid_norm_star": "HybridNorm*"},
    **{"static_hyper_connections": "static hyper-connections", "attention_residuals": "attention residuals"},
    **{"block_attention_residuals": "block attention residuals", "x0_lambdas": "x₀ lambdas"},
    **{"dense_former": "DenseFormer", "span_norm": "SpanNorm", "orthogonal_update": "orthogonal update"},
    **{"deep_delta": "Deep Delta", "value_residual": "value residual", "mhc_lite": "mHC-lite"},
    **{"ngpt": "nGPT", "mv_split": "MV-split", "frac_connections": "Frac-Connections"},
    "per_stack": "one per stack",
    "skipless": "skipless",
    "identity_hyper_connections": "identity hyper-connections",
}


def name_of(key: str, value: object) -> str:
    """The value in a legend or above a panel. A variant of the user's own keeps its name."""
    if key == "variant" and not sheet().titles:
        return VARIANTS.get(str(value), str(value))
    return formatting.setting(key, value)


def in_words(text: str) -> str:
    """A caption with the literature's names of the variants."""
    return re.sub(r"\b\w+\b", lambda word: VARIANTS.get(word[0], word[0]) if "_" in word[0] else word[0], text)
