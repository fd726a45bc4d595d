"""Where examples come from, as tokens and in batches, with the baselines that runs are measured against."""
