"""What Hydra and OmegaConf refuse, as one sentence."""

import re
from collections.abc import Sequence

from normexp.config.names import did_you_mean
from normexp.config.schema import EXPERIMENT, iter_keys
from normexp.errors import Interrupted

TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false", "bool": "true or false"}


def raise_interrupt(error: BaseException | None) -> None:
    """Raise the interrupt that led to an error: one that arrives inside OmegaConf can leave it as an AttributeError."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt | Interrupted):
            raise error
        error = error.__context__


def sentence(error: BaseException) -> str:
    """Hydra's several lines as one sentence: the innermost reason, with the key that it is about."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    file = re.match(r"In '(.*)': \w+ raised while composing config:$", lines[0])
    if file and len(lines) > 1:
        return f"{file[1]}.yaml: {_reason(lines[1:], file[1].partition('/')[0])}"
    return _reason(lines)


def _reason(lines: Sequence[str], group: str = "") -> str:
    """The reason that these lines give. group: of the file that they are about, if it is one."""
    refused = re.compile(r"(?:mismatched|extraneous|no viable|token recognition).*?'(.*?)'(?: expecting|$)")
    if wrong := next(filter(None, map(refused.match, lines)), None):
        return "it ends too early" if wrong[1] == "<EOF>" else f"{wrong[1].strip()} is not allowed there"
    key = next((line.partition(":")[2].strip() for line in lines if line.startswith("full_key:")), "")
    if wrong := re.match(r"Value '(.*)' (?:of type '.*' could not be converted to|is not a valid) (\w+)", lines[0]):
        return f"{key} must be {TYPES.get(wrong[2], wrong[2])}; got {wrong[1] or 'nothing'}"
    if lines[0].startswith("LexerNoViableAltException"):
        return "it has a quotation mark or a backslash without an end, or a character that needs quotation marks"
    if re.match(r"Key '.*' (is )?not in ", lines[0]):
        section, dot, _ = key.partition(".")
        if section == group == EXPERIMENT:
            return "its first line must be # @package _global_"
        if dot:
            return f"{key} is not a key of this {section}"
        return f"{key} is not a key{did_you_mean(key, [name for name, _ in iter_keys()])}"
    return f"{key}: {lines[0]}" if key and key not in lines[0] else lines[0]
