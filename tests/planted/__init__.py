"""Faults to be found: systems that can be made ill on purpose, for the laws of the tests and the fault bench."""
