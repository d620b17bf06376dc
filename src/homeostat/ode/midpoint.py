"""The explicit midpoint method takes fixed steps of second order."""

from homeostat.ode.tableau import Tableau

MIDPOINT = Tableau(
    name="midpoint",
    order=2,
    a=((1 / 2,),),
    b=(0.0, 1.0),
    source="C. Runge, Math. Ann. 46 (1895) 167",
)
