"""Finished runs in the experiment trackers of others.

TRACKERS: the packages, each with a module of the same name here, and the class in it.
"""

TRACKERS = {"wandb": "Wandb", "mlflow": "MLflow", "trackio": "Trackio"}
