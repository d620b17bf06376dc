"""The classical Runge-Kutta method takes fixed steps of fourth order."""

from homeostat.ode.tableau import Tableau

RK4 = Tableau(
    name="rk4",
    order=4,
    a=((1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
    b=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
    source="W. Kutta, Z. Math. Phys. 46 (1901) 435",
)
