"""The 5(4) pair of Dormand and Prince carries the fourth-order dense output of Hairer, Norsett and Wanner."""

from homeostat.ode.tableau import Tableau

_B = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)

# Hairer, Norsett, Wanner, Solving ODEs I, II.6: the quartic's correction to the cubic Hermite, as weights of stages.
_D = (
    -12715105075 / 11282082432,
    0.0,
    87487479700 / 32700410799,
    -10690763975 / 1880347072,
    701980252875 / 199316789632,
    -1453857185 / 822651844,
    69997945 / 29380423,
)


def _quartic() -> tuple[tuple[float, ...], ...]:
    """Return coefficients of theta..theta^4: the cubic Hermite plus theta^2 (1 - theta)^2 times the correction."""
    hermite = [[0.0, 3 * b, -2 * b, 0.0] for b in (*_B, 0.0)]
    for power, (first, last) in enumerate(((1.0, 0.0), (-2.0, -1.0), (1.0, 1.0))):
        hermite[0][power] += first
        hermite[-1][power] += last
    correction = (0.0, 1.0, -2.0, 1.0)
    return tuple(
        tuple(x + d * bump for x, bump in zip(row, correction, strict=True))
        for row, d in zip(hermite, _D, strict=True)
    )


DOPRI5 = Tableau(
    name="dopri5",
    order=5,
    a=(
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    ),
    b=_B,
    error=(71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
    dense=_quartic(),
    source="J. R. Dormand, P. J. Prince, J. Comput. Appl. Math. 6 (1980) 19",
)
