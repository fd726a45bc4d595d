"""The entry point of `normexp` and of `python -m normexp`: signals first, then the commands.

Importing the commands takes a quarter of a second, in which an interrupt must not end in a traceback either.
"""

import io
import os
import signal
import sys

from normexp.errors import INTERRUPTED, Interrupted

_received = 0


def _on_signal(number: int, frame: object) -> None:
    """The first signal stops in order, the second at once, and a third needs no answer from anything."""
    global _received
    _received += 1
    if _received > 2:
        os._exit(130)
    raise Interrupted


def main() -> None:
    """Run the command line. Exit code 130 after SIGINT (Ctrl-C), SIGTERM or SIGHUP."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            signal.signal(getattr(signal, name), _on_signal)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # closed, as by >&-; the next file to be opened would take its place
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, os.fdopen(number, "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file or a pipe is UTF-8; a terminal without ← shows a ?
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")
    try:
        from normexp.cli import app

        app()
    except Interrupted:
        sys.stdout.flush()
        print(INTERRUPTED, file=sys.stderr, flush=True)
        os._exit(130)  # another signal cannot interrupt the clean-up of the interpreter


if __name__ == "__main__":
    main()
