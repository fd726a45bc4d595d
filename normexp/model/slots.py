"""Named places inside a branch where a variant and add-ons may put modules."""

from torch import Tensor, nn


class Slots(nn.ModuleDict):
    """The modules inside one sub-layer; an empty slot is the identity.

    inside: the variant's module by slot, then those of add-ons by slot+add-on, in the order in which they act.
    offered: the slots of the sub-layer. Raises ValueError for any other slot.
    """

    def __init__(self, offered: tuple[str, ...], inside: dict[str, nn.Module]) -> None:
        unknown = sorted(set(map(slot_of, inside)) - set(offered))
        if unknown:
            raise ValueError(f"a slot of this sub-layer must be one of {', '.join(offered)}; got {unknown[0]}")
        super().__init__(inside)

    def put(self, slot: str, x: Tensor) -> Tensor:
        """x after the modules in the slot."""
        for name, module in self.items():
            if slot_of(name) == slot:
                x = module(x)
        return x


def slot_of(name: str) -> str:
    """The slot of a module of Slots."""
    return name.partition("+")[0]
