"""From overrides to a typed, frozen config."""
