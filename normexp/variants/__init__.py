"""One small class per residual arrangement, its equation visible as one line of code.

To add one: a subclass of `Variant` with a `join`, and a YAML file in configs/variant/ that names it.
"""

from normexp.model.variant import Site, StackShape, Variant

__all__ = ["Site", "StackShape", "Variant"]
