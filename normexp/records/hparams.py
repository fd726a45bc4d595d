"""The row of a run on TensorBoard's HParams page: what its sweep varies comes first."""

from pathlib import Path

from normexp.config.choice import Choice
from normexp.config.schema import Config, value_of
from normexp.records.reading import read_sweep

Value = bool | str | float | int

KEYS = ("variant", "depth", "lr", "warmup", "seed", "steps", "norm", "init", "model", "task", "data", "optimizer")
METRICS = {
    "translation": ("final_loss", "valid_loss", "permuted_loss", "token_accuracy", "bleu", "chrf"),
    "classification": ("final_loss", "valid_loss", "accuracy"),
    "language_modelling": ("final_loss", "valid_loss", "token_accuracy"),
}


def swept_by(run: Path) -> tuple[str, ...]:
    """The keys that the sweep around this run varies, nested ones (`norm.eps`) included; none outside a sweep."""
    swept = read_sweep(run.parent).get("swept")
    return tuple(key for key in swept if isinstance(key, str)) if isinstance(swept, list) else ()


def hparams(config: Config, swept: tuple[str, ...]) -> dict[str, Value]:
    """The columns of a run: the swept keys, then those that people ask for.

    Every run of a sweep has the same columns, because the page takes them from the first run that it reads: where a
    choice has no such option, the cell says none.
    """
    return {key: _cell(config, key) for key in dict.fromkeys((*swept, *KEYS))}


def _cell(config: Config, key: str) -> Value:
    """A value as the page can hold it: it knows bools, numbers and strings."""
    try:
        value = value_of(config, key)
    except (AttributeError, KeyError):
        return "none"
    if isinstance(value, tuple):  # several choices of one group
        return "+".join(str(getattr(each, "name", each)) for each in value) or "none"
    if isinstance(value, Choice) or hasattr(value, "name"):
        return str(value.name)
    return value if isinstance(value, bool | str | float | int) else "none" if value is None else str(value)
