"""Solve differential equations for batches in which every sample has its own times, steps and outcome."""

from homeostat.ode.controller import Controller as Controller
from homeostat.ode.integrate import odeint as odeint
from homeostat.ode.result import Result as Result
from homeostat.ode.result import Solution as Solution
from homeostat.ode.result import SolverError as SolverError
from homeostat.ode.result import Stats as Stats
from homeostat.ode.solver import SOLVERS as SOLVERS
from homeostat.ode.tableau import Tableau as Tableau
