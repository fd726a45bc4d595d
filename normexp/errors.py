"""The errors that normexp raises itself."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTED = "interrupted; run the same command again to resume"  # what such a command ends with
# What says that the disk will not take the next file either.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # from file systems of several machines, as they are mounted


class ConfigError(ValueError):
    """The user asked for something that cannot be done; the message names the key, what was wrong and what to do."""


class LaunchError(RuntimeError):
    """A pool ended without starting any of the runs that it was given."""


class DiskError(LaunchError):
    """The disk takes no more files."""


class StoppedError(RuntimeError):
    """A run ended early because it was asked to; its checkpoint holds the step that it reached."""


class Interrupted(BaseException):  # KeyboardInterrupt would end in Typer, without a message
    """The user or the system ended the command by a signal."""


class DivergedError(ArithmeticError):
    """A loss became non-finite at `step`."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(f"the loss of step {step} is not finite")


def line_of(error: BaseException, place: int = 0) -> str:
    """One line of what an error says, by default the first; the name of its class where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[place]


def named(error: BaseException) -> str:
    """The class of an error and what it says, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


@contextmanager
def one_sentence(said: Callable[[Exception], str]) -> Iterator[None]:
    """What code that is not ours raises inside becomes a ConfigError; one that is raised there stays as it is.

    said: the sentence about an error.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(said(error)) from error


def disk_error(error: OSError) -> str:
    """The error as a sentence if it says that nothing can be written any more; empty for any other."""
    if error.errno in _NO_LOCKS:
        return (
            f"the results cannot be written: their file system has no locks ({error.strerror}), without which two "
            "commands could train the same run; set results to a folder elsewhere"
        )
    if error.errno not in _DISK:
        return ""
    where = f" ({error.filename})" if error.filename else ""
    return f"the results cannot be written: {error.strerror}{where}"
