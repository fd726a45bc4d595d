"""Finished runs in the experiment trackers of others: Weights & Biases, MLflow, Trackio."""
