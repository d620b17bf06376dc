"""The 3(2) pair of Bogacki and Shampine serves loose tolerances."""

from homeostat.ode.tableau import Tableau

BOSH3 = Tableau(
    name="bosh3",
    order=3,
    a=((1 / 2,), (0.0, 3 / 4)),
    b=(2 / 9, 1 / 3, 4 / 9),
    error=(2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8),
    source="P. Bogacki, L. F. Shampine, Appl. Math. Lett. 2 (1989) 321",
)
