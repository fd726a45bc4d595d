"""Serve TensorBoard on a folder of runs."""

import socket
import subprocess
import sys
import tempfile
import threading
import time
import webbrowser
from pathlib import Path

from normexp.errors import ConfigError, Interrupted


def serve(folder: Path | str, port: int = 6006, host: str = "127.0.0.1", open_browser: bool = True) -> int:
    """Serve TensorBoard on the runs in `folder` until it is stopped; return its exit code.

    Each run appears once, under the name of its folder, with the name of the sweep in front if there are several.
    Port 0 means any free port. Raises ConfigError if no run in the folder has written events.
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
        except (KeyboardInterrupt, Interrupted):
            server.terminate()  # Ctrl-C is the normal way to stop it.
            server.wait()
            return 0
        finally:
            if server.poll() is None:
                server.kill()


def _logdir(folder: Path, temporary: Path) -> Path:
    """The folder, or for a single run a folder around it, because TensorBoard would name the run "."."""
    if not (folder / "config.yaml").is_file():
        return folder
    (temporary / folder.name).symlink_to(folder, target_is_directory=True)
    return temporary


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _open(server: subprocess.Popen[bytes], host: str, port: int) -> None:
    """Open the page once the server accepts connections; a browser that is too early shows an error."""
    while server.poll() is None:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            # The default page starts with hundreds of gradient norms; this one has the losses at the top.
            webbrowser.open(f"http://{host}:{port}/#custom_scalars")
            return
