"""A task is what `fit` trains. Engine and audits both stand on it."""
