"""TensorBoard on a folder of runs."""

import socket
import subprocess
import sys
import tempfile
import threading
import time
import webbrowser
from pathlib import Path

from normexp.errors import ConfigError


def serve(folder: Path | str, port: int = 6006, host: str = "127.0.0.1", open_browser: bool = True) -> int:
    """Serve TensorBoard on the runs in `folder` until it is stopped, and return its exit code.

    Each run shows once, under its folder's name (with the sweep's before it, where `folder` holds several).
    Port 0 takes a free one. Raises ConfigError if no run in the folder has written events.
    """
    folder = Path(folder).resolve()
    if not any(folder.rglob("events.out.tfevents.*")):
        raise ConfigError(f"no TensorBoard events in {folder}: train or sweep first")
    port = port or _free_port(host)
    with tempfile.TemporaryDirectory(prefix="normexp-tensorboard-") as temporary:
        command = [
            sys.executable,
            "-m",
            "tensorboard.main",
            "--logdir",
            str(_logdir(folder, Path(temporary))),
        ]
        command += ["--host", host, "--port", str(port), "--window_title", f"normexp · {folder.name}"]
        server = subprocess.Popen(command)
        if open_browser:
            threading.Thread(target=_open, args=(server, host, port), daemon=True).start()
        try:
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()  # Ctrl-C is how it is meant to end.
            server.wait()
            return 0
        finally:
            if server.poll() is None:
                server.kill()


def _logdir(folder: Path, temporary: Path) -> Path:
    """Return the folder itself, or a folder around it if it is a run, which TensorBoard would call "."."""
    if not (folder / "config.yaml").is_file():
        return folder
    (temporary / folder.name).symlink_to(folder, target_is_directory=True)
    return temporary


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _open(server: subprocess.Popen[bytes], host: str, port: int) -> None:
    """Open the page as soon as the server answers: a browser that comes too early shows an error."""
    while server.poll() is None:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            # The first page would open on hundreds of gradient norms; this one has the losses at the top.
            webbrowser.open(f"http://{host}:{port}/#custom_scalars")
            return
