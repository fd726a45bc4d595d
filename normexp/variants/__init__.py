"""One small class per variant, its equation visible as one line of code. README.md here shows how to add one."""

from normexp.model.variant import MakeNorm, Site, StackShape, Variant

__all__ = ["MakeNorm", "Site", "StackShape", "Variant"]
