"""The made-up runs are what real ones would be: their settings, their rows, and what a study is told of them."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from pandas.testing import assert_frame_equal

from normexp.config.schema import GROUPS
from normexp.probes.probe_set import ProbeSet
from normexp.studies.study import KEYS, Part, Runs
from normexp.views.runs import TABLES
from tests.support.probes import trainer_of
from tests.support.synthetic import ATTENTION, KINDS, LEVELS, PROBES, Made
from tests.support.worlds import WORLDS

LINE = ("depth=2", "variant=post_ln,pre_ln", "warmup=0,10%", "seed=range(2)", "steps=120", "model.fix_norm=false,true")


def written(made, folder):
    """The same runs on disk, as a sweep leaves them."""
    tables = {"curves": made.curves("nll", "grad_norm"), "layers": made.layers("grad_norm", "update_norm")}
    for about in made.frame.to_dict("records"):
        run = folder / Path(about["folder"]).name
        run.mkdir(parents=True)
        config = {group: {"name": about[group]} for group in GROUPS if group in about}
        for key, value in about.items():
            place, _, name = key.rpartition(".")
            if key not in (*GROUPS, *LEVELS, "folder", "state", "outcome", "final_loss", "valid_loss"):
                (config.setdefault(place, {}) if place else config)[name] = value
        status = {key: about[key] for key in ("state", "outcome", "final_loss", "valid_loss")}
        status["baselines"] = {key.removeprefix("baseline."): level for key, level in LEVELS.items()}
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        (run / "status.json").write_text(json.dumps(status))
        for name, rows in tables.items():
            rows.loc[rows["folder"] == about["folder"], list(TABLES[name])].to_parquet(run / f"{name}.parquet")
    cells = [Path(path).name for path in made.frame["folder"]]
    (folder / "sweep.json").write_text(json.dumps({"name": "try", "swept": made.swept, "cells": cells}))
    return Runs(folder)


@pytest.mark.slow
@pytest.mark.parametrize("gone", [0, 25])
def test_they_answer_as_runs_on_disk(tmp_path, gone):
    made = Made(Part("try", "sweep", LINE), WORLDS["xiong2020"](gone=gone))
    real = written(made, tmp_path / "try")

    def known(rows):
        return rows.assign(folder=rows["folder"].map(lambda path: Path(path).name))

    def same(a, b):
        assert len(a) > 0
        assert_frame_equal(known(a), known(b), check_like=True, check_dtype=False)

    results = ["outcome", "final_loss", "valid_loss", "folder", *LEVELS]
    same(real.frame[[*KEYS, *results]].astype({"final_loss": float, "valid_loss": float}),
         made.frame[[*KEYS, *results]].astype({"final_loss": float, "valid_loss": float}))  # fmt: skip
    same(real.layers("grad_norm"), made.layers("grad_norm"))
    where = {"stack": "decoder", "site": "feed_forward", "parameter": "fc2.weight", "layer": 2, "step": 10}
    same(real.layers("grad_norm", **where), made.layers("grad_norm", **where))
    same(real.curves("nll", split="train"), made.curves("nll", split="train"))
    same(real.curves("nll", "grad_norm"), made.curves("nll", "grad_norm"))
    assert real.layers("update_norm").empty
    assert made.layers("update_norm").empty  # no such probe was asked for
    assert real.heading("variant", "warmup") == made.heading("variant", "warmup")
    assert real.heading("variant", "warmup").endswith("n = 4 seeds")  # with model.fix_norm left out of the cell


@pytest.mark.slow
@pytest.mark.parametrize("line", [(), ("task=classification", "model.feed_forward=0"), ("task=language_modelling",)])
def test_their_rows_are_those_that_probes_write(line):
    probes = [*PROBES] if not line else ["token_similarity", "dependency", "stream", "skip_layer"]
    trainer = trainer_of(f"probe=[{','.join(probes)}]", "variant=pre_ln", *line)
    batch = next(trainer.data())
    trainer.backward(batch)
    measured = ProbeSet(trainer.config).measure(trainer.probe_context(batch))
    real = pd.concat(measured.frames())
    made = Made(Part("try", "probe", (f"probe=[{','.join(probes)}]", "variant=pre_ln", "depth=2", *line)),
                WORLDS["depth_limit"]())  # fmt: skip
    statistics = [name for probe in probes for name in PROBES[probe]]
    keys = ["stack", "layer", "site", "parameter", "statistic"]
    kept = real["statistic"].isin(("dependency_map", "skip_map")) | real["parameter"].isin(("", "fc2.weight"))
    kept |= (real["statistic"] == "grad_norm") & real["parameter"].isin([f"{name}.weight" for name in ATTENTION])
    real = real[real["statistic"].isin(statistics) & kept]
    real = real[(real["layer"] > 0) | real["stack"].isin(KINDS) & (real["site"] == "")]  # the embedding is read by none
    rows = made.layers(*statistics)
    assert set(rows["step"]) == {1}
    assert set(rows[keys].itertuples(index=False)) == set(real[keys].itertuples(index=False))
    assert not rows[keys].duplicated().any()
