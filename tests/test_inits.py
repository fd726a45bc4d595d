"""The page of the two initialisations, and its claims on losses whose differences are known."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

inits = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "inits.py"))


@pytest.mark.slow
def test_the_page_follows_from_the_published_runs():
    points, fresh = inits["load"]()
    tables = {"agreement": inits["agreement"](points), "verdicts": inits["verdicts"](points, fresh)}
    for name, table in tables.items():
        assert table.to_csv(**inits["CSV"]) == (inits["REFERENCE"] / f"{name}.csv").read_text()
    assert inits["page"](points, *tables.values()) == (inits["REFERENCE"] / "inits.md").read_text()


def test_claims_are_about_differences_seed_by_seed():
    conditions = [(init, tied) for init in ("xavier_uniform", "normal") for tied in ("tied", "untied")]
    rows = [
        {"condition": f"{init}, {tied}", "init": init, "variant": variant, "seed": seed, "loss": loss + 0.01 * seed}
        for init, tied in conditions
        for variant, loss in (("post_ln", 2.0), ("pre_ln", 1.9), ("deep_norm", 2.2 if tied == "tied" else 2.3))
        for seed in range(5)
    ]
    points = pd.DataFrame(rows).drop_duplicates(["condition", "variant"]).assign(window=2)
    found = inits["verdicts"](points, pd.DataFrame(rows))
    assert found["difference"].tolist() == pytest.approx([-0.1] * 4 + [0.1] * 2)
    assert found["verdict"].tolist() == ["holds"] * 4 + ["does not hold"] * 2
    stuck = points.assign(window=[0 if variant == "deep_norm" else 2 for variant in points["variant"]])
    judged = inits["verdicts"](stuck, pd.DataFrame(rows))["verdict"].tolist()
    assert judged == ["holds"] * 4 + ["cannot be tested"] * 2
