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


class Tap(nn.Module):
    """In one slot: passes a tensor on, and keeps it until a module in a later slot takes it.

    The other module holds the tap in a tuple, so that only one slot owns it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self._kept = x
        return x

    def take(self) -> Tensor:
        """The tensor of this forward pass, once: otherwise the last batch and its graph would stay in memory."""
        kept, self._kept = self._kept, None
        if kept is None:
            raise RuntimeError("a tap must be passed before it is taken from")
        return kept


def slot_of(name: str) -> str:
    """The slot of a module of Slots."""
    return name.partition("+")[0]
