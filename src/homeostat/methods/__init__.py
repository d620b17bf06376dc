"""Methods turn stores into predictions: one way to train many models, for every recipe."""
