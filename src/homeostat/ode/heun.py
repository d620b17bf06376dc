"""Heun's method embeds the Euler step: it is the cheapest method that estimates its error."""

from homeostat.ode.tableau import Tableau

HEUN = Tableau(
    name="heun",
    order=2,
    a=((1.0,),),
    b=(1 / 2, 1 / 2),
    error=(-1 / 2, 1 / 2, 0.0),
    source="K. Heun, Z. Math. Phys. 45 (1900) 23",
)
