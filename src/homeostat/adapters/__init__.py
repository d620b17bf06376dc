"""Guards for other people's trainers: `homeostat.adapters.lightning` and `homeostat.adapters.transformers`."""
