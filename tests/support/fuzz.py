"""Bad command lines from the schema and from the options of every class, and how the command line answers them."""

import tempfile
import traceback
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints
from unittest.mock import patch

from typer.testing import CliRunner

from normexp.cli import app
from normexp.config.compose import Composer
from normexp.config.schema import CHOICES, CLASSES, Config, iter_keys

HOSTILE = ("${nosuch}", "[1,2]", "{a:1}", '"\\e[31m"', "nosuch", "")
WRONG: dict[type, tuple[str, ...]] = {
    int: (*HOSTILE, "nan", "inf", "1.5", "-1", "1e400", "1" + "0" * 40),
    float: (*HOSTILE, "nan", "inf", "-inf", "-1", "1e400"),
    bool: (*HOSTILE, "nan", "2.5", "-1", "0", "1", "7", "'1'"),
    str: ("${nosuch}", "{a:1}", '"\\e[31m"', "x" * 3000),
}
FREE = ("name", "results")  # keys that take any decent text
MAY_BE_NEGATIVE = ("start", "beta2_decay", "first_stream", "last_stream", "first_embedding", "last_embedding")
COMMAND_LINES = (
    *("sweep seed=range(1000000000)", "sweep seed=range(0,5,0)", "sweep seed=range(0)", "sweep lr=interval(0,1)"),
    *("sweep depth=[1", "sweep =", "sweep depth", "sweep depth==3", "sweep ~depth", "sweep +depth=3", "sweep @x=1"),
    *("sweep depth=range(1,200) seed=range(1000)", "train depth=1,2", "sweep --jobs=-1", "sweep --pool=nosuch"),
    *("sweep --name=a/b", "sweep --config-dir=nowhere", "results nowhere", "figures nowhere", "reproduce nosuch"),
    *("sweep variant._target_=os.system", "sweep data._target_=os.system", "sweep norm._target_=nosuch.Nosuch"),
    *("sweep hydra.run.dir=/x", "sweep hydra/launcher=nosuch", "sweep config_dirs=[x]", "sweep depth=glob(*)"),
)


def bad_lines() -> Iterator[str]:
    """Every key and every option of every class, with every value that its type does not allow."""
    kinds = _kinds(Config)
    for name, f in iter_keys():
        if name in (*CLASSES, "probes", "config_dirs"):
            continue
        kind = kinds.get(name, str)
        values = WRONG[kind] if kind is not str or f.metadata["options"] else WRONG[str]
        if name in FREE:
            values = ("${nosuch}", "{a:1}", "x" * 3000)
        elif kind is str:
            values = (*values, "nosuch", "[1,2]", "nan" if f.metadata["options"] else "-nan")
        yield from (f"train {name}={value}" for value in values)
    for group in CHOICES:
        yield from (f"train {group}={value}" for value in ("nosuch", "../x", "nan", "{a:1}", "${nosuch}"))
    composer = Composer("train")
    for group in CLASSES:
        for choice in composer.options(group):
            for option, default in composer.choice(group, choice).options.items():
                kind = type(default)
                values = (
                    WRONG.get(kind, ("nan", "{a:1}", "-inf")) if kind is not str else ("{a:1}", "[nan]", "${nosuch}")
                )
                if option in MAY_BE_NEGATIVE:
                    values = tuple(value for value in values if value != "-1")
                yield from (f"train {group}={choice} {group}.{option}={value}" for value in values)
            yield f"train {group}={choice} {group}.nosuch=1"
    yield from COMMAND_LINES


def _kinds(section: type, prefix: str = "") -> dict[str, type]:
    found: dict[str, type] = {}
    for name, kind in get_type_hints(section).items():
        if kind in WRONG:
            found[prefix + name] = kind
        elif hasattr(kind, "__dataclass_fields__"):
            found |= _kinds(kind, f"{prefix}{name}.")
    return found


@dataclass(frozen=True)
class Answer:
    """What is wrong with how a command line was refused; empty if nothing is."""

    line: str
    fault: str


class Started(BaseException):
    """A sweep would have started."""


def answer(line: str) -> Answer:
    """Run a bad command line in an empty folder of its own, up to the moment when a sweep would start."""

    def refuse(*_: Any, **__: Any) -> None:
        raise Started

    with tempfile.TemporaryDirectory() as folder, patch("normexp.sweep.executor.run_sweep", refuse):
        words = line.split(" ")
        try:
            with chdir(folder):
                done = CliRunner().invoke(app, words, env={"NORMEXP_RESULTS": f"{folder}/results", "COLUMNS": "200"})
        except Started:
            return Answer(line, "was accepted")
        if isinstance(done.exception, Started):
            return Answer(line, "was accepted")
        if done.exception and not isinstance(done.exception, SystemExit):
            last = traceback.extract_tb(done.exception.__traceback__)[-1]
            return Answer(line, f"traceback: {done.exception!r} in {last.filename}:{last.lineno}"[:300])
        written = [path for path in Path(folder).rglob("*") if path.is_file()]
        lines = done.stderr.splitlines()
        faults = [
            f"exit code {done.exit_code}" if done.exit_code != 2 else "",
            f"{len(lines)} lines" if len(lines) > 2 and "Usage" not in done.stderr else "",
            "an escape code" if "\x1b" in done.stderr else "",
            f"wrote {written}" if written else "",
            "a sentence without end" if len(done.stderr) > 4500 else "",
        ]
        return Answer(line, ", ".join(filter(None, faults)))
