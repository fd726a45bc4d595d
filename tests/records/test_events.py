"""TensorBoard events of a run, read back with TensorBoard's own readers."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata

from normexp.records.events import Events, curve_tag, layer_tag

CURVES = pd.DataFrame(
    [
        (1, "train", "nll", 4.0),
        (2, "train", "nll", 3.0),
        (2, "valid", "nll", 3.5),
        (2, "train", "lr", 1e-3),
    ],
    columns=["step", "split", "statistic", "value"],
)
LAYERS = pd.DataFrame(
    [(2, "decoder", 5, "feed_forward", name, "grad_norm", 0.25) for name in ("", "branch.fc2.weight")],
    columns=["step", "stack", "layer", "site", "parameter", "statistic", "value"],
)


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return events


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = read(folder)
    return {
        tag: [(event.step, float(event.value)) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def charted(folder: Path, sites: dict[str, list[str]]) -> layout_pb2.Layout:
    """The layout of the Custom Scalars page, as it is read back."""
    events = Events(folder)
    events.layout(sites)
    events.close()
    (tensor,) = read(folder).Tensors("custom_scalars__config__")
    return layout_pb2.Layout.FromString(tensor.tensor_proto.string_val[0])


def test_tags() -> None:
    """Parameters are in a section of their own, or the few numbers of a site would be lost among them."""
    assert curve_tag("nll", "train") == "curves/nll/train"
    assert curve_tag("lr", "train") == "training/lr"
    assert curve_tag("accuracy", "valid") == "evaluation/accuracy/valid"  # after the losses
    assert layer_tag("decoder", 5, "feed_forward", "", "grad_norm") == "layers_grad_norm/decoder.05.feed_forward"
    parameter = layer_tag("decoder", 5, "feed_forward", "branch.fc2.weight", "grad_norm")
    assert parameter == "parameters_grad_norm/decoder.05.feed_forward.branch.fc2.weight"
    assert layer_tag("decoder", 5, "", "", "skip_rise") == "layers_skip_rise/decoder.05"
    assert layer_tag("decoder", 5, "", "decoder.03", "skip_map") == "parameters_skip_map/decoder.05.decoder.03"
    assert layer_tag("decoder", 0, "", "", "output_shift") == "layers_output_shift/decoder"


@pytest.mark.parametrize(("layer", "digits"), [(1, "01"), (99, "99"), (100, "100"), (1000, "1000")])
def test_layer_tags_have_the_digits_of_the_layer(layer: int, digits: str, tmp_path: Path) -> None:
    """Two digits, more only where the layer itself needs them: the tags of a stack do not change with its depth.

    The charts of Custom Scalars pick the tag up at any number of digits.
    """
    tag = layer_tag("encoder", layer, "attention", "", "grad_norm")
    assert tag == f"layers_grad_norm/encoder.{digits}.attention"
    assert re.search(charted(tmp_path, {"encoder": ["attention"]}).category[1].chart[0].multiline.tag[0], tag)


def test_values_are_read_back_and_a_step_is_one_event(tmp_path: Path) -> None:
    """One event per value would be twenty times slower. Float32 values of numpy are accepted."""
    events = Events(tmp_path)
    for step in (1, 2):
        events.write(step, {"curves/nll/train": 4.0 / step, "layers_grad_norm/encoder.01.attention": np.float32(0.5)})
    events.write(3, {})
    events.close()
    assert scalars(tmp_path) == {
        "curves/nll/train": [(1, 4.0), (2, 2.0)],
        "layers_grad_norm/encoder.01.attention": [(1, 0.5), (2, 0.5)],
    }
    (file,) = tmp_path.iterdir()
    steps = [event.step for event in EventFileLoader(str(file)).Load() if event.HasField("summary")]
    assert steps == [1, 2]


def test_a_resumed_run_has_one_file_and_no_step_twice(tmp_path: Path) -> None:
    """TensorBoard would draw the curve twice."""
    for _ in range(2):
        events = Events(tmp_path)
        events.replay(CURVES, LAYERS)
        events.write(3, {"curves/nll/train": 2.0})
        events.close()
    assert len(list(tmp_path.iterdir())) == 1
    found = scalars(tmp_path)
    assert found["curves/nll/train"] == [(1, 4.0), (2, 3.0), (3, 2.0)]
    assert found["curves/nll/valid"] == [(2, 3.5)]
    assert found["layers_grad_norm/decoder.05.feed_forward"] == [(2, 0.25)]
    assert "parameters_grad_norm/decoder.05.feed_forward.branch.fc2.weight" in found


def test_replay_of_nothing(tmp_path: Path) -> None:
    events = Events(tmp_path)
    events.replay(CURVES.iloc[:0], LAYERS.iloc[:0])
    events.close()
    assert scalars(tmp_path) == {}


def test_layout(tmp_path: Path) -> None:
    layout = charted(tmp_path, {"encoder": ["attention", "feed_forward"], "decoder": ["cross_attention"]})
    assert [category.title for category in layout.category] == [
        *("loss", "gradient norm by layer: encoder", "gradient norm by layer: decoder")
    ]
    assert layout.category[2].chart[0].multiline.tag == [r"^layers_grad_norm/decoder\.\d+\.cross_attention$"]


def test_hparams_open_and_close_one_row(tmp_path: Path) -> None:
    """A result that is not finite leaves its cell empty: the page cannot sort a column that holds NaN."""
    run = tmp_path / "depth=06,variant=post_ln-1a2b3c4d"
    events = Events(run)
    events.hparams({"depth": 6, "lr": 1e-3, "variant": "post_ln", "amp": False}, ["final_loss", "bleu"])
    events.write(7, {"curves/nll/train": 1.0})
    events.finish({"state": "completed", "final_loss": 0.25, "bleu": float("nan"), "outcome": "trained"})
    events.close()
    assert scalars(run)["result/final_loss"] == [(7, 0.25)]
    assert "result/bleu" not in scalars(run)  # not finite: an empty cell
    contents = {
        value.tag: value.metadata.plugin_data.content
        for (file,) in [list(run.iterdir())]
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "hparams"
    }
    start = metadata.parse_session_start_info_plugin_data(contents[metadata.SESSION_START_INFO_TAG])
    assert start.group_name == run.name
    assert start.hparams["lr"].number_value == 1e-3
    assert start.hparams["amp"].WhichOneof("kind") == "bool_value"
    assert metadata.parse_session_end_info_plugin_data(contents[metadata.SESSION_END_INFO_TAG]).status == 1
    experiment = metadata.parse_experiment_plugin_data(contents[metadata.EXPERIMENT_TAG])
    assert [metric.name.tag for metric in experiment.metric_infos] == ["result/final_loss", "result/bleu"]


def test_a_value_that_the_page_cannot_show_is_rejected(tmp_path: Path) -> None:
    """The page has no type for None; the error names the key."""
    events = Events(tmp_path)
    with pytest.raises(TypeError, match="clip"):
        events.hparams({"clip": None}, [])  # type: ignore[dict-item]
    events.close()


@pytest.mark.slow
def test_writing_events_needs_no_torch(tmp_path: Path) -> None:
    """Events are also written from tables, where importing torch would take seconds."""
    code = "import sys, json, normexp.records.events; print(json.dumps('torch' in sys.modules))"
    assert json.loads(subprocess.check_output([sys.executable, "-c", code])) is False
