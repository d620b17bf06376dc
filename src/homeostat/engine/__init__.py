"""The engine: one function, `fit`, and the values that it needs."""
