"""The errors that normexp raises itself."""


class ConfigError(ValueError):
    """The user asked for something that cannot be done; the message names the key, what was wrong and what to do."""


class LaunchError(RuntimeError):
    """A pool ended without starting any of the runs that it was given."""


class DivergedError(ArithmeticError):
    """A loss became non-finite at `step`."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(f"the loss of step {step} is not finite")
