"""One variant in the encoder, another one in the decoder."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from normexp.config.choice import Choice
from normexp.config.schema import configs_folder
from normexp.errors import ConfigError
from normexp.records.reading import read_yaml
from normexp.variants import MakeNorm, StackShape, Variant

DEFAULTS = {"encoder": "post_ln", "decoder": "pre_ln"}


class PerStack(Variant):
    """The variant named `encoder` in the encoder and the one named `decoder` in the decoder, with their defaults.

    There are no instances of this class: made for a stack, it is the variant of that stack. What the encoder's variant
    does to initial word vectors holds for both stacks, and what the decoder's does to an output matrix of its own.
    """

    equation = "the equation of encoder in the encoder, that of decoder in the decoder"
    verified = "each of its two variants by itself"

    def __new__(
        cls,
        shape: StackShape,
        make_norm: MakeNorm,
        *,
        encoder: str = DEFAULTS["encoder"],
        decoder: str = DEFAULTS["decoder"],
    ) -> Any:
        """Raises ConfigError if the package has no such variant."""
        chosen = [_bundled("encoder", encoder), _bundled("decoder", decoder)]
        return chosen[shape.stack == "decoder"].build(shape, make_norm)

    @classmethod
    def made_of(cls, stacks: Sequence[str], **options: Any) -> tuple[type[Variant], ...]:
        return tuple(_bundled(stack, (DEFAULTS | options)[stack]).cls for stack in stacks)


@cache
def _bundled(option: str, name: str) -> Choice:
    folder = configs_folder() / "variant"
    names = sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "per_stack")
    if name not in names:
        raise ConfigError(f"variant.{option} must be one of {', '.join(names)}; got {name}")
    return Choice.of("variant", {"name": name, **read_yaml(folder / f"{name}.yaml")})
