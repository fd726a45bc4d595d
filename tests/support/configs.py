"""Small configs for tests, as composition would resolve them."""

import copy
from typing import Any


def small_config(**changes: Any) -> dict[str, Any]:
    """A resolved config of a 3-layer model of width 16; changes by top-level key, dicts merged one level."""
    config: dict[str, Any] = {
        "depth": 3,
        "seed": 0,
        "config_dirs": [],
        "task": {"name": "translation"},
        "model": {
            "width": 16, "heads": 4, "feed_forward": 32, "encoder_depth": 3, "decoder_depth": 3, "activation": "relu",
            "positions": "sinusoidal", "tied": True, "dropout": 0.0, "attention_dropout": 0.0, "max_length": 64,
            "fix_norm": False, "attention_norm": "none", "persistent": 0,
        },
        "variant": {"name": "post_ln", "_target_": "normexp.variants.post_ln.PostLN"},
        "norm": {"name": "layer_norm", "_target_": "normexp.norms.LayerNorm", "eps": 1e-5},
        "init": {"name": "xavier_uniform", "_target_": "normexp.model.initialisers.XavierUniform"},
    }  # fmt: skip
    config = copy.deepcopy(config)
    for key, value in changes.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) and key == "model" else value
    return config
