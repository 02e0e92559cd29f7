"""Write special.csv: function,a,b,value of special functions by mpmath in 120 digits, where they are delicate: tails, near
poles, infinities. Arguments are float32 numbers. NAME_k is the k-th derivative. Values at poles and infinities that
mpmath doesn't give are SciPy's."""
import math
from pathlib import Path

import numpy as np
from mpmath import mp, mpf

mp.dps = 120
inf, nan = math.inf, math.nan


def log_ndtr(x):
    return mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2) if x > 0 else mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def mills(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi) / (mp.erfc(-x / mp.sqrt(2)) / 2)


def solve(f, y, near):
    """x with f(x) = y: a start from floats, polished."""
    return mp.findroot(lambda x: f(x) - y, near)


def ndtri_exp(y):
    from scipy.special import ndtri_exp as start

    return solve(log_ndtr, y, float(start(float(y))))


def ndtri(p):
    return ndtri_exp(mp.log(p))


def erfinv(x):
    return mp.erfinv(x)


def lbeta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


exact = {
    "erf": mp.erf,
    "erfc": mp.erfc,
    "erfinv": erfinv,
    "ndtr": lambda x: mp.erfc(-x / mp.sqrt(2)) / 2,
    "log_ndtr": log_ndtr,
    "log_ndtr_1": mills,
    "log_ndtr_2": lambda x: -mills(x) * (x + mills(x)),
    "ndtri": ndtri,
    "ndtri_exp": ndtri_exp,
    "lgamma": lambda x: mp.log(abs(mp.gamma(x))) if abs(x) < 1e6 else mp.loggamma(x),
    "digamma": mp.digamma,
    "trigamma": lambda x: mp.polygamma(1, x),
    "polygamma_3": lambda x: mp.polygamma(3, x),
    "polygamma_8": lambda x: mp.polygamma(8, x),
    "lbeta": lbeta,
    "lbeta_1": lambda a, b: mp.digamma(a) - mp.digamma(a + b),
    "pow": lambda a, b: a**b,
    "atan2": mp.atan2,
}

normal = [-30, -20.5, -10, -5.5, -4.0625, -4, -3.9375, -3, -1, -0.75, -0.5, -1e-8, 0.1, 1, 2.5, 5]
positive = [1e-30, 1e-6, 0.1, 0.5, 0.999, 1, 1.25, 1.4616321325302124, 1.75, 2, 2.001, 3, 5.5, 9.99, 10.5, 25, 1e3, 1e6, 1e12]
below = [-0.25, -0.5, -1.5, -3.7, -17.0625]
points = {
    "erf": [-5, -2.5, -0.1, 1e-20, 0.5, 1.5, 3, 4],
    "erfc": [-5, -0.5, 1e-20, 0.5, 1, 2.5, 5, 9],
    "erfinv": [-0.9999, -0.86, -0.5, -1e-20, 1e-30, 0.25, 0.849, 0.9, 0.99999994],
    "ndtr": [-8, -3, -1, 1e-10, 2, 6],
    "log_ndtr": normal + [-1e15, -1e6, -1000, -100, 8, 12.5],
    "log_ndtr_1": normal + [-1e15, -1e6, -1000, -100, 8, 12.5],
    "log_ndtr_2": normal + [-1e15, -1e6, -1000, -100, 8, 12.5],
    "ndtri": [1e-37, 1e-20, 1e-10, 1e-3, 0.05, 0.075, 0.2, 0.5000001, 0.75, 0.925, 0.99, 0.99999994],
    "ndtri_exp": [-1e15, -1e6, -1000, -729.5, -301, -299, -40, -25.5, -20, -3, -1, -0.69314718, -0.5, -0.05, -1e-6, -1e-30],
    "lgamma": positive + below,
    "digamma": positive + below,
    "trigamma": positive[1:] + below,
    "polygamma_3": positive[2:] + below,
    "polygamma_8": positive[2:-1] + below,
}
pairs = {
    "lbeta": [(a, b) for a in (1e-6, 0.5, 3, 9.5, 10.5, 400, 1e6) for b in (0.5, 2, 9.9, 10, 33, 1e5, 1e12)],
    "lbeta_1": [(a, b) for a in (0.5, 3, 9.5, 10.5, 400, 1e6, 1e12) for b in (1e-3, 0.5, 9.9, 33, 1e5)],
    "pow": [(2, 0.5), (0.1, 20.5), (1.0001, 5000), (-2, 3), (-2, -2), (1e20, 1.5), (3, -30), (0.999, 1e4)],
    "atan2": [(1, 1), (1, -1), (-1, -1), (-1e-20, 1), (1e-20, -1), (3e30, 4e30), (1e-30, -2e-30), (5, 0.1)],
}
# Those of SciPy 1.17 and of C's pow and atan2.
special = [
    ("erf", inf, 0, 1), ("erf", -inf, 0, -1), ("erf", nan, 0, nan),
    ("erfc", inf, 0, 0), ("erfc", -inf, 0, 2), ("erfc", nan, 0, nan), ("erfc", 30, 0, None),
    ("erfinv", 1, 0, inf), ("erfinv", -1, 0, -inf), ("erfinv", 1.5, 0, nan), ("erfinv", nan, 0, nan), ("erfinv", 0, 0, 0),
    ("ndtr", inf, 0, 1), ("ndtr", -inf, 0, 0), ("ndtr", nan, 0, nan), ("ndtr", 0, 0, 0.5),
    ("log_ndtr", inf, 0, 0), ("log_ndtr", -inf, 0, -inf), ("log_ndtr", nan, 0, nan),
    ("log_ndtr_1", inf, 0, 0), ("log_ndtr_1", -inf, 0, inf), ("log_ndtr_1", nan, 0, nan),
    ("log_ndtr_2", inf, 0, 0), ("log_ndtr_2", -inf, 0, -1), ("log_ndtr_2", nan, 0, nan),
    ("ndtri", 0, 0, -inf), ("ndtri", 1, 0, inf), ("ndtri", 0.5, 0, 0), ("ndtri", -0.5, 0, nan), ("ndtri", 1.5, 0, nan),
    ("ndtri", nan, 0, nan),
    ("ndtri_exp", -inf, 0, -inf), ("ndtri_exp", 0, 0, inf), ("ndtri_exp", 1, 0, nan), ("ndtri_exp", nan, 0, nan),
    ("lgamma", 0, 0, inf), ("lgamma", -0.0, 0, inf), ("lgamma", -3, 0, inf), ("lgamma", inf, 0, inf),
    ("lgamma", -inf, 0, inf), ("lgamma", nan, 0, nan), ("lgamma", 1, 0, 0), ("lgamma", 2, 0, 0),
    ("digamma", 0, 0, -inf), ("digamma", -0.0, 0, inf), ("digamma", -2, 0, nan), ("digamma", inf, 0, inf),
    ("digamma", nan, 0, nan),
    ("trigamma", 0, 0, inf), ("trigamma", -2, 0, inf), ("trigamma", inf, 0, 0), ("trigamma", nan, 0, nan),
    ("lbeta", 0, 1, inf), ("lbeta", 1, 0, inf), ("lbeta", 1, 1, 0), ("lbeta", inf, 2, -inf), ("lbeta", nan, 2, nan),
    ("lbeta", 2, nan, nan), ("lbeta", -1.5, 2, nan),
    *[("pow", *p, math.pow(*p)) for p in [(0, 0), (nan, 0), (1, nan), (0, 2), (inf, 0.5), (inf, -1), (-8, 3), (-inf, 3),
                                          (0.5, inf), (2, -inf), (-1, inf)]],
    ("pow", 0, -1, inf), ("pow", -8, 0.5, nan), ("pow", nan, 1, nan), ("pow", 1e30, 30, inf),
    *[("atan2", *p, math.atan2(*p)) for p in [(0, 1), (0.0, -1), (-0.0, -1), (0, 0), (inf, inf), (inf, -inf), (1, -inf),
                                              (1, inf), (-inf, 1), (nan, 1), (1, nan)]],
]


def text(value):
    return mp.nstr(value, 20) if isinstance(value, mpf) else repr(float(value))


with (Path(__file__).parent / "special.csv").open("w") as out:
    for name, arguments in (points | pairs).items():
        for a in arguments:
            a, b = (float(np.float32(v)) for v in (a if isinstance(a, tuple) else (a, 0)))
            value = exact[name](mpf(a), mpf(b)) if name in pairs else exact[name](mpf(a))
            print(name, repr(a), repr(b), text(mp.re(value)), sep=",", file=out)
    for name, a, b, value in special:
        value = exact[name](mpf(a)) if value is None else value
        print(name, repr(float(a)), repr(float(b)), text(value), sep=",", file=out)
