"""Which learning rates, and which depths, a variant trains at: the map of variant × depth × learning rate."""
