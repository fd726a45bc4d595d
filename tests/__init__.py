"""The tests; their layout mirrors normexp/."""
