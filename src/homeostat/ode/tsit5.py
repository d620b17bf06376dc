"""The 5(4) pair of Tsitouras is the default: it is a little more accurate per evaluation than dopri5."""

from homeostat.ode.tableau import Tableau

Polynomial = tuple[float, ...]


def _times(p: Polynomial, q: Polynomial) -> Polynomial:
    product = [0.0] * (len(p) + len(q) - 1)
    for i, x in enumerate(p):
        for j, y in enumerate(q):
            product[i + j] += x * y
    return tuple(product)


def _quartic(scale: float, p: Polynomial, q: Polynomial) -> Polynomial:
    """Return the coefficients of theta..theta^4 of scale * p * q; p and q begin with their constants."""
    return tuple(scale * x for x in _times(p, q)[1:])


# The interpolant in the factored form in which the paper prints it (section 4).
_DENSE = (
    _quartic(
        -1.0530884977290216,
        _times((0.0, 1.0), (-1.3299890189751412, 1.0)),
        (0.7139816917074209, -1.4364028541716351, 1.0),
    ),
    _quartic(0.1017, (0.0, 0.0, 1.0), (1.2949852507374631, -2.1966568338249754, 1.0)),
    _quartic(2.490627285651252793, (0.0, 0.0, 1.0), (1.57803468208092486, -2.38535645472061657, 1.0)),
    _quartic(
        -16.54810288924490272,
        (0.0, 0.0, 1.0),
        _times((-1.21712927295533244, 1.0), (-0.61620406037800089, 1.0)),
    ),
    _quartic(
        47.37952196281928122,
        (0.0, 0.0, 1.0),
        _times((-1.203071208372362603, 1.0), (-0.658047292653547382, 1.0)),
    ),
    _quartic(-34.87065786149660974, (0.0, 0.0, 1.0), _times((-1.2, 1.0), (-2 / 3, 1.0))),
    _quartic(2.5, (0.0, 0.0, 1.0), _times((-1.0, 1.0), (-0.6, 1.0))),
)

TSIT5 = Tableau(
    name="tsit5",
    order=5,
    a=(
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
    ),
    b=(
        0.09646076681806523,
        0.01,
        0.4798896504144996,
        1.379008574103742,
        -3.290069515436081,
        2.324710524099774,
    ),
    error=(
        0.00178001105222577714,
        0.0008164344596567469,
        -0.007880878010261995,
        0.1447110071732629,
        -0.5823571654525552,
        0.45808210592918697,
        -0.015151515151515152,
    ),
    dense=_DENSE,
    source="Ch. Tsitouras, Comput. Math. Appl. 62 (2011) 770",
)
