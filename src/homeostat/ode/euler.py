"""The explicit Euler method takes fixed steps of first order."""

from homeostat.ode.tableau import Tableau

EULER = Tableau(
    name="euler",
    order=1,
    a=(),
    b=(1.0,),
    dense=((1.0,), (0.0,)),
    source="L. Euler, Institutiones calculi integralis, 1768",
)
