"""Named places inside a branch where a variant may put a module."""

from torch import Tensor, nn


class Slots(nn.ModuleDict):
    """The modules that a variant puts inside one sub-layer; an empty slot is the identity.

    offered: the slots of the sub-layer. Raises ValueError for any other slot.
    """

    def __init__(self, offered: tuple[str, ...], inside: dict[str, nn.Module]) -> None:
        unknown = sorted(set(inside) - set(offered))
        if unknown:
            raise ValueError(f"a slot of this sub-layer must be one of {', '.join(offered)}; got {unknown[0]}")
        super().__init__(inside)

    def put(self, slot: str, x: Tensor) -> Tensor:
        """x after the module in the slot."""
        return self[slot](x) if slot in self else x
