"""Serve TensorBoard on a folder of runs."""

import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import webbrowser
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from normexp.config.identity import name_part
from normexp.errors import ConfigError, Interrupted
from normexp.records.events import PATTERN
from normexp.records.reading import visible
from normexp.views.runs import load_runs, split_sweeps, swept_keys

MANY = 40  # above so many runs, TensorBoard ticks none on most of its pages


@dataclass(frozen=True)
class Served:
    """What is served: the sweeps by their folders, and what was left out, as a sentence."""

    sweeps: dict[Path, pd.DataFrame]
    note: str = ""

    @property
    def names(self) -> dict[str, Path]:
        """The folder of each run by its name on the page.

        That is the folder's name without the digest, unless two runs would then share it. With several sweeps, the
        sweep's name comes first.
        """
        found: dict[str, Path] = {}
        for sweep, runs in self.sweeps.items():
            folders = [Path(folder).resolve() for folder in runs["folder"]]
            short = [re.sub(r"-[0-9a-f]{8}$", "", folder.name) for folder in folders]
            count = Counter(short)
            for folder, name in zip(folders, short, strict=True):
                own = name if count[name] == 1 else folder.name
                found[own if len(self.sweeps) == 1 else f"{sweep.resolve().name}/{own}"] = folder
        return found

    @property
    def link(self) -> str:
        """The page that is opened: Time Series, without smoothing, one colour per value of the first swept key."""
        options = "smoothing=0"
        runs = pd.concat(self.sweeps.values()) if self.sweeps else pd.DataFrame()
        keys = [key for key in swept_keys(runs) if key != "seed"] if len(runs) else []
        if keys:
            key = "variant" if "variant" in keys else keys[0]
            values = {name_part(key, value) for value in runs[key].drop_duplicates().tolist()}
            longest_first = "|".join(map(re.escape, sorted(values, key=lambda value: (-len(value), value))))
            options += f"&runColorGroup=regex:{quote(f'({longest_first})', safe='(|)')}"
        return f"?{options}#timeseries"


def chosen(folder: Path) -> Served:
    """What to serve of a folder: all of its sweeps or, if these are too many runs for TensorBoard, the newest sweep.

    Raises ConfigError if no run in the folder has written events.
    """
    if not any(folder.rglob(PATTERN)):
        raise ConfigError(f"no TensorBoard events in {folder}: train or sweep first")
    try:
        sweeps = split_sweeps(load_runs(folder))
    except ConfigError:  # events without a run folder around them
        return Served({})
    total = sum(map(len, sweeps.values()))
    if total <= MANY:
        return Served(sweeps)
    if len(sweeps) == 1:
        return Served(sweeps, f"{total} runs: on pages other than Time Series, tick them with “Toggle All Runs”")
    newest = max(sweeps, key=lambda sweep: sweeps[sweep]["heartbeat"].max())
    return Served(
        {newest: sweeps[newest]},
        f"{total} runs in {len(sweeps)} sweeps are too many for TensorBoard; this is the newest, "
        f"{visible(newest.name)}. For another: normexp tensorboard {folder}/NAME",
    )


def serve(folder: Path | str, port: int = 6006, host: str = "127.0.0.1", open_browser: bool = True) -> int:
    """Serve TensorBoard on the runs in `folder` until it is stopped; return its exit code.

    With the runs it shows profiles over the layers, means over the seeds, and a run for each sweep with its table,
    samples and figures. Port 0 means any free port. Raises ConfigError if no run in the folder has written events.
    """
    folder = Path(folder).resolve()
    served = chosen(folder)
    if served.note:
        print(served.note, file=sys.stderr, flush=True)
    try:
        port = port or _free_port(host)
    except OSError as error:
        raise ConfigError(f"--host must be an address of this machine; got {host} ({error.strerror})") from error
    # The thread below may still write while the server is stopped.
    with tempfile.TemporaryDirectory(prefix="normexp-tensorboard-", ignore_cleanup_errors=True) as temporary:
        logdir = _linked(served, Path(temporary)) if served.sweeps else folder
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)]
        command += ["--host", host, "--port", str(port), "--window_title", f"normexp · {folder.name}"]
        server = subprocess.Popen(command)
        print(f"open http://{host}:{port}/{served.link}", file=sys.stderr, flush=True)
        if open_browser:
            threading.Thread(target=_open, args=(server, f"http://{host}:{port}", served.link), daemon=True).start()
        stopping = threading.Event()
        views = threading.Thread(target=_add_views, args=(served, Path(temporary), stopping), daemon=True)
        views.start()
        try:
            return server.wait()
        except (KeyboardInterrupt, Interrupted):
            server.terminate()  # Ctrl-C is the normal way to stop it.
            server.wait()
            return 0
        finally:
            if server.poll() is None:
                server.kill()
            stopping.set()
            views.join()  # the interpreter aborts if it ends while a thread draws


def _linked(served: Served, logdir: Path) -> Path:
    """A folder with a link to each run: TensorBoard takes the names of runs from their paths."""
    for name, run in served.names.items():
        link = logdir / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(run, target_is_directory=True)
    return logdir


def _add_views(served: Served, logdir: Path, stopping: threading.Event) -> None:
    """Add profiles, means and pages while TensorBoard already shows the runs; it looks for new ones every 5 seconds."""
    from normexp.views.tensorboard_runs import write_curves, write_page

    for sweep, runs in served.sweeps.items():
        place = logdir if len(served.sweeps) == 1 else logdir / sweep.resolve().name
        write_curves(place, runs)
        for _ in write_page(place / "sweep", sweep, runs):
            if stopping.is_set():
                return


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _open(server: subprocess.Popen[bytes], address: str, page: str) -> None:
    """Open the page once the server accepts connections; a browser that is too early shows an error."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    while server.poll() is None:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            webbrowser.open(f"{address}/{page}")
            return
