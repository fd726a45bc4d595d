import pandas as pd
import pytest

from normexp.views.formatting import heading, number
from normexp.views.unusual import unusual

USUAL = {
    **{"depth": 6, "variant": "post_ln", "norm": "layer_norm", "norm.eps": 1e-5, "model": "tiny", "model.width": 64},
    **{"model.encoder_depth": 6, "model.dropout": 0.0, "training.clip": 0.0, "optimizer": "adam", "seed": 0},
    **{"optimizer.betas": "[0.9, 0.98]", "optimizer.eps": 1e-8, "data": "cldr_dates", "data.pairs": 10_000},
    **{"norm._target_": "normexp.norms.LayerNorm", "training.device": "cuda", "state": "completed"},
}


def test_defaults_are_not_unusual() -> None:
    assert unusual(pd.DataFrame([USUAL]), []) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("norm.eps", 0.1), ("model.dropout", 0.1), ("model.width", 96), ("model.encoder_depth", 3)),
        *(("training.clip", 1.0), ("optimizer", "sgd"), ("optimizer.betas", "[0.5, 0.9]"), ("data.pairs", 500)),
    ],
)
def test_another_value_is_in_the_heading(key: str, value: object) -> None:
    frame = pd.DataFrame([USUAL | {key: value}])
    assert unusual(frame, [])[key] == value
    assert number(value) in heading(frame, [])


def test_the_defaults_are_those_of_the_choice() -> None:
    rms = USUAL | {"norm": "rms_norm", "norm.eps": 1e-6}
    assert unusual(pd.DataFrame([rms]), []) == {}
    assert unusual(pd.DataFrame([USUAL | {"model": "small", "model.width": 128}]), []) == {}


def test_swept_and_varying_keys_are_left_out() -> None:
    frame = pd.DataFrame([USUAL | {"norm.eps": 0.1}, USUAL | {"norm.eps": 0.2}])
    assert unusual(frame, []) == {}
    assert unusual(frame.iloc[:1], ["norm.eps"]) == {}


def test_a_choice_of_the_user_is_not_judged() -> None:
    assert unusual(pd.DataFrame([USUAL | {"norm": "mine", "norm.eps": 3.0}]), []) == {}
