"""In-hospital mortality from the first two days in intensive care."""
