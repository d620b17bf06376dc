"""Compute scores, intervals and comparisons from prediction files, without any model."""

from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import Score

__all__ = ["Predictions", "Score"]
