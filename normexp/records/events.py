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
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

PATTERN = "events.out.tfevents.*"


def curve_tag(statistic: str, split: str) -> str:
    """The tag of a curve, e.g. `loss/train`."""
    return f"{statistic}/{split}"


def layer_tag(stack: str, layer: int, site: str, parameter: str, statistic: str) -> str:
    """The tag of a site (`grad_norm/decoder.05.feed_forward`), of one of its parameters, or of a stack (`x/decoder`).

    Parameters have a section of their own, or a site's few numbers would drown among them.
    """
    place = f"{stack}.{layer:02d}.{site}" if site else stack
    return f"{statistic}_parameters/{place}.{parameter}" if parameter else f"{statistic}/{place}"


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

    def layout(self, sites: Mapping[str, Sequence[str]]) -> None:
        """Lay out the Custom Scalars page: the losses, then each stack's gradient norms by layer and site.

        `sites` names the sites of a layer by stack: {"encoder": ["attention", "feed_forward"], …}.
        """

        def chart(title: str, *patterns: str) -> layout_pb2.Chart:
            return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=patterns))

        losses = layout_pb2.Category(
            title="loss",
            chart=[
                chart("negative log-likelihood (nats per token)", r"^nll/(train|valid)$"),
            ],
        )
        gradients = [
            layout_pb2.Category(
                title=f"gradient norm by layer: {stack}",
                chart=[
                    chart(f"{stack} {kind}", rf"^grad_norm/{re.escape(stack)}\.\d+\.{re.escape(kind)}$")
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

    def hparams(self, config: Mapping[str, bool | str | float | int], metrics: Sequence[str]) -> None:
        """Open this run's row of the HParams page; `finish` fills in `metrics`, keys of status.json.

        Every run of a sweep must give the same keys, because the page takes its columns from the first run that
        it reads. Raises TypeError for a value that is not a bool, number or string, such as None.
        """
        self._metrics = list(metrics)
        infos = [summary_v2.HParam(name) for name in config]
        declared = [summary_v2.Metric(f"result/{name}", display_name=name) for name in metrics]
        self._add(summary_v2.hparams_config_pb(infos, declared))
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
        content = hparams_metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=end))
        self._add(
            Summary(
                value=[
                    Summary.Value(
                        tag=hparams_metadata.SESSION_END_INFO_TAG,
                        metadata=content,
                        tensor=hparams_metadata.NULL_TENSOR,
                    )
                ]
            )
        )

    def flush(self) -> None:
        """Hand everything written so far to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the file; `write` fails from here on."""
        self._writer.close()

    def _add(self, summary: Summary, step: int = 0) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
