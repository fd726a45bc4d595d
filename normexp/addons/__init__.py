"""One small class per add-on: what multiplies, gates or warms up every branch, under any variant."""

from normexp.model.add_on import AddOn
from normexp.model.variant import Site, StackShape

__all__ = ["AddOn", "Site", "StackShape"]
