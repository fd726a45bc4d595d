"""TensorBoard events of a run: a view of its tables, one event per step, one file per run folder."""

import math
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as custom_scalar
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2, summary_v2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

PATTERN = "events.out.tfevents.*"


def curve_tag(statistic: str, split: str) -> str:
    """The tag of a loss (`curves/nll/train`), an accuracy (`evaluation/accuracy/valid`), or a setting (`training/lr`).

    TensorBoard groups tags by their first part and sorts by name, so the losses come first.
    """
    if statistic in ("lr", "grad_norm"):
        return f"training/{statistic}"
    return f"{'curves' if 'nll' in statistic else 'evaluation'}/{statistic}/{split}"


def layer_tag(stack: str, layer: int, site: str, parameter: str, statistic: str) -> str:
    """The tag of a site (`layers_grad_norm/decoder.05.feed_forward`), of its parameter, of a layer, or of a stack.

    Parameters have groups of their own, after those of the sites: they are many.
    """
    place = ".".join(filter(None, (stack, f"{layer:02d}" if layer else "", site)))
    return f"parameters_{statistic}/{place}.{parameter}" if parameter else f"layers_{statistic}/{place}"


class Events:
    """Writes the TensorBoard events of the run in `folder`, as one file.

    The tables are the truth and events are drawn from them, so an older event file in the folder is
    removed: after a resume, `replay` the tables and go on with `write`. Two files would show steps twice.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        for stale in self.folder.glob(PATTERN):
            stale.unlink()
        self._writer = EventFileWriter(str(self.folder))
        self._metrics: list[str] = []
        self._last_step = 0

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write all values of a step as one event: twenty times faster than one event per value."""
        if not values:
            return
        self._last_step = max(self._last_step, step)
        self._add(Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]), step)

    def replay(self, curves: pd.DataFrame, layers: pd.DataFrame) -> None:
        """Write what the tables curves.parquet and layers.parquet hold, in the order of their steps."""
        tagged = [
            pd.DataFrame(
                {
                    "step": table["step"],
                    "tag": [tag(*row) for row in zip(*(table[column] for column in columns), strict=True)],
                    "value": table["value"],
                }
            )
            for table, tag, columns in (
                (curves, curve_tag, ["statistic", "split"]),
                (layers, layer_tag, ["stack", "layer", "site", "parameter", "statistic"]),
            )
            if len(table)
        ]
        if not tagged:
            return
        for step, rows in pd.concat(tagged).groupby("step", sort=True):
            self.write(int(str(step)), dict(zip(rows["tag"], rows["value"], strict=True)))

    def layout(self, sites: Mapping[str, Sequence[str]], unit: str = "nats per token") -> None:
        """Lay out the Custom Scalars page: the losses, then each stack's gradient norms by layer and site.

        `sites` names the sites of a layer by stack: {"encoder": ["attention", "feed_forward"], …}. unit: of the losses.
        """

        def chart(title: str, *patterns: str) -> layout_pb2.Chart:
            return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=patterns))

        losses = layout_pb2.Category(
            title="loss",
            chart=[
                chart(f"negative log-likelihood ({unit})", r"^curves/nll/(train|valid)$"),
            ],
        )
        gradients = [
            layout_pb2.Category(
                title=f"gradient norm by layer: {stack}",
                chart=[
                    chart(f"{stack} {kind}", rf"^layers_grad_norm/{re.escape(stack)}\.\d+\.{re.escape(kind)}$")
                    for kind in kinds
                ],
            )
            for stack, kinds in sites.items()
        ]
        layout = layout_pb2.Layout(category=[losses, *gradients])
        self._add(
            Summary(
                value=[
                    Summary.Value(
                        tag=custom_scalar.CONFIG_SUMMARY_TAG,
                        tensor=make_tensor_proto(layout.SerializeToString()),
                        metadata=SummaryMetadata(plugin_data=custom_scalar.create_summary_metadata().plugin_data),
                    )
                ]
            )
        )

    def hparams(
        self, config: Mapping[str, bool | str | float | int], metrics: Sequence[str], swept: Sequence[str] = ()
    ) -> None:
        """Open this run's row of the HParams page; `finish` fills in `metrics`, keys of status.json.

        swept: keys of `config` that get the first columns; the page sorts the others by name. Every run of a sweep must
        give the same keys, because the page takes its columns from the first run that it reads. Raises TypeError for a
        value that is not a bool, number or string, such as None.
        """
        self._metrics = list(metrics)
        infos = [api_pb2.HParamInfo(name=name, differs=name in swept) for name in config]
        declared = [
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=f"result/{name}"), display_name=name) for name in metrics
        ]
        experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=declared)
        self._add(_marker(hparams_metadata.EXPERIMENT_TAG, plugin_data_pb2.HParamsPluginData(experiment=experiment)))
        # The group is the row: named after the folder, runs that share all values keep rows of their own.
        self._add(summary_v2.hparams_pb(dict(config), trial_id=self.folder.resolve().name))

    def finish(self, status: Mapping[str, object]) -> None:
        """Close the row of the HParams page with the state and the results that status.json holds."""
        results = {name: status.get(name) for name in self._metrics}
        self.write(
            self._last_step,
            {
                f"result/{name}": float(value)
                for name, value in results.items()
                # The page cannot sort a column that holds NaN: a diverged run leaves its cell empty.
                if isinstance(value, int | float) and math.isfinite(value)
            },
        )
        success = status.get("state") == "completed"
        end = plugin_data_pb2.SessionEndInfo(
            status=api_pb2.STATUS_SUCCESS if success else api_pb2.STATUS_FAILURE, end_time_secs=time.time()
        )
        content = plugin_data_pb2.HParamsPluginData(session_end_info=end)
        self._add(_marker(hparams_metadata.SESSION_END_INFO_TAG, content))

    def text(self, tag: str, markdown: str) -> None:
        """Show a text, in Markdown, on the Text page."""
        self._add(text_pb(tag, markdown))

    def image(self, tag: str, png: bytes, size: tuple[int, int]) -> None:
        """Show a PNG on the Images page. size: width and height in pixels."""
        drawn = Summary.Image(encoded_image_string=png, width=size[0], height=size[1], colorspace=4)
        self._add(Summary(value=[Summary.Value(tag=tag, image=drawn)]))

    def flush(self) -> None:
        """Hand everything written so far to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the file; `write` fails from here on."""
        self._writer.close()

    def _add(self, summary: Summary, step: int = 0) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))


def _marker(tag: str, content: plugin_data_pb2.HParamsPluginData) -> Summary:
    """A summary that has metadata for the HParams page and no value."""
    metadata = hparams_metadata.create_summary_metadata(content)
    return Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=hparams_metadata.NULL_TENSOR)])
