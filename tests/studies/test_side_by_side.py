"""The plan asks each variant's runs at the rate that suited it, and the map says all of it."""

import pandas as pd
import pytest

from normexp.studies.runner import load
from normexp.views import style

LEVELS = {"baseline.unigram": 2.9, "baseline.position_only": 1.9, "baseline.target_bigram": 2.1}
VARIANTS = ("post_ln", "pre_ln", "admin", "deep_norm", "b2t")


class Runs:
    def __init__(self, frame):
        self.frame = frame.assign(**LEVELS, norm="layer_norm", folder=[f"run/{i}" for i in range(len(frame))])


def rates():
    best = {"post_ln": 1.5e-3, "deep_norm": 5e-4}
    rows = [
        {"variant": v, "lr": lr, "depth": 6, "seed": 100, "final_loss": 0.1 if lr == best.get(v, 4.5e-3) else 2.0}
        for v in VARIANTS
        for lr in (5e-4, 1.5e-3, 4.5e-3)
    ]
    return Runs(pd.DataFrame(rows).assign(outcome="trained", state="completed"))


def test_each_variant_runs_at_its_own_rate():
    study, _ = load("side_by_side", "quick")
    plan = study.plan()
    assert next(plan).name == "rates"
    parts = [plan.send(rates()), *plan]
    asked = {part.name: dict(text.split("=") for text in part.overrides) for part in parts}
    assert {name: (keys["lr"], keys["variant"]) for name, keys in asked.items()} == {
        "runs-lr5e-4": ("0.0005", "deep_norm"),
        "runs-lr1.5e-3": ("0.0015", "post_ln"),
        "runs-lr4.5e-3": ("0.0045", "pre_ln,admin,b2t"),
        "untied-lr5e-4": ("0.0005", "deep_norm"),
        "untied-lr4.5e-3": ("0.0045", "pre_ln"),
    }


def test_the_full_size_asks_more_seeds_of_the_dozen():
    study, _ = load("side_by_side", "full")
    assert [text for text in study.parts["seeds"].overrides if text.startswith("seed=")] == ["seed=1,2"]
    variants = next(text for text in study.parts["seeds"].overrides if text.startswith("variant="))
    assert len(variants.split(",")) == 12


def test_untied_runs_have_a_map_of_their_own():
    study, _ = load("side_by_side", "quick")
    rows = [
        {"variant": v, "lr": 4.5e-3, "depth": d, "seed": 0, "final_loss": loss, "outcome": "trained"}
        for v, loss in (("pre_ln", 0.25), ("deep_norm", 0.5))
        for d in (6, 18)
    ]
    frame = pd.DataFrame(rows).assign(state="completed")
    with style.context():
        runs = {"rates": rates(), "runs-lr1": Runs(frame), "untied-lr1": Runs(frame.assign(final_loss=0.75))}
        maps = dict(study.figures(runs))
    texts = {name: [text.get_text() for axis in made.axes for text in axis.texts] for name, made in maps.items()}
    assert list(texts) == ["side_by_side", "side_by_side_untied"]
    assert any(text.startswith("0.5 ") for text in texts["side_by_side"])
    assert not any(text.startswith("0.5 ") for text in texts["side_by_side_untied"])
    assert any(text.startswith("0.75 ") for text in texts["side_by_side_untied"])
    labels = maps["side_by_side_untied"].axes[0].get_yticklabels()
    assert {label.get_text() for label in labels} == {"pre_ln", "deep_norm"}  # of the rates, too, those alone


@pytest.mark.parametrize("gone", [False, True])
def test_the_map_tells_loss_verdict_and_rate(gone):
    study, _ = load("side_by_side", "quick")
    rows = [
        {"variant": v, "lr": 4.5e-3, "depth": d, "seed": s, "final_loss": 0.01 * d, "outcome": "trained"}
        for v in VARIANTS
        for d in (6, 18)
        for s in (0, 1)
    ]
    frame = pd.DataFrame(rows).assign(state="completed")
    if gone:
        worst = (frame["variant"] == "admin") & (frame["depth"] == 18)
        frame.loc[worst, ["final_loss", "outcome"]] = [float("nan"), "diverged"]
    with style.context():
        ((name, figure),) = study.figures({"rates": rates(), "runs": Runs(frame)})
        figure.canvas.draw()
    assert name == "side_by_side"
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert "0.06 ± 0  4.5e-3" in texts
    assert ("not finite  4.5e-3" in texts) == gone
    assert ("D" in texts) == gone
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels.index("admin") == (4 if gone else labels.index("admin"))
