"""Names of numbers in `Loss.numbers` that guards read, so that a task and a guard mean the same by them."""

from __future__ import annotations

ODE_EVALUATIONS = "ode_evaluations"
"""Evaluations of the field in a solve, mean over the batch."""
ODE_STEPS = "ode_solver_steps"
"""Steps that a solver tried, rejected ones included."""
ODE_REJECTED = "ode_rejected"
"""Steps that it rejected."""
