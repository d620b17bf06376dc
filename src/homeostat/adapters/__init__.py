"""Run guards in the trainers of others: `homeostat.adapters.lightning` and `homeostat.adapters.transformers`."""
