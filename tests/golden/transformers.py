"""Write transformers.txt: transformers at random parameters, by independent implementations in float64 (pip install torch
zuko nflows normflows pyro-ppl). Each line has a transformer; how many parameters p it has, and these; x; z and log dz/dx;
the derivatives of log dz/dx with respect to x, and of z and of log dz/dx with respect to each parameter.

Parameterisations differ, so parameters are mapped here, and derivatives are those of the mapped ones:

    linear, quadratic, cubic, bounded   nflows' splines on an interval, in which a density's value at a knot and a
                                        derivative are 1 at u = 0; its linear spline has no least height, and its
                                        quadratic one gets values at all knots: that with linear tails gets those at the
                                        ends wrong (see boundary_of_nflows() below)
    circular                            normflows' spline with tails="circular", and a turn
    sum_of_squares                      zuko, whose least slope is added to all
    bernstein                           zuko, given the coefficients as they are
    deep_sigmoidal                      pyro, a layer at a time
    logistic_mixture                    torch.distributions: the distribution function of a mixture
    umnn                                zuko's integral by Gauss and Legendre, of the same network
    outside of an interval              the identity, or the line through the end, by its definition
"""

import math
from pathlib import Path

import normflows
import torch
import zuko
from nflows.transforms import splines
from pyro.distributions.transforms import NeuralAutoregressive
from torch import distributions
from torch.nn.functional import softmax, softplus

torch.set_default_dtype(torch.float64)
torch.manual_seed(2019)
LEAST, POINTS = 1e-3, 10
U1 = math.log(math.expm1(1 - LEAST))


def positive(u):
    return LEAST + softplus(u + U1)


def inverse_softplus(y):
    return y + torch.log(-torch.expm1(-y))


def on_interval(low, high, inside):
    def f(x, u):
        if not low < x < high:
            return x, torch.zeros(())
        z, log_slope = inside(x[None], u[None])
        return z[0], log_slope[0]

    return f


def linear(bins, tail):
    def inside(x, u):
        height = LEAST + (1 - LEAST * bins) * softmax(u, -1)
        return splines.linear.linear_spline(x, height.log(), left=-tail, right=tail, bottom=-tail, top=tail)

    return f"linear_spline(bins={bins},tail={tail})", bins, on_interval(-tail, tail, inside)


def quadratic(bins, tail):
    def inside(x, u):
        width = LEAST + (1 - LEAST * bins) * softmax(u[:, :bins], -1)
        inner = positive(u[:, bins:])
        c = (inner * (width[:, 1:] + width[:, :-1])).sum(-1) / (2 - width[:, 0] - width[:, -1])
        v = torch.cat([c[:, None], inner, c[:, None]], 1)
        return splines.quadratic.quadratic_spline(
            x, u[:, :bins], inverse_softplus(v - 1e-3), left=-tail, right=tail, bottom=-tail, top=tail, min_bin_height=0
        )

    return f"quadratic_spline(bins={bins},tail={tail})", 2 * bins - 1, on_interval(-tail, tail, inside)


def cubic(bins, tail):
    def inside(x, u):
        share = (1 / 3 - LEAST) / (1 - 2 * LEAST)
        end = LEAST + (1 - 2 * LEAST) * torch.sigmoid(u[:, 2 * bins :] + math.log(share / (1 - share)))
        return splines.cubic.cubic_spline(
            x, u[:, :bins], u[:, bins : 2 * bins], torch.logit(end[:, :1]), torch.logit(end[:, 1:]),
            left=-tail, right=tail, bottom=-tail, top=tail,
        )  # fmt: skip

    return f"cubic_spline(bins={bins},tail={tail})", 2 * bins + 2, on_interval(-tail, tail, inside)


def bounded(bins, low, high):
    def inside(x, u):
        return splines.rational_quadratic.rational_quadratic_spline(
            x, u[:, :bins], u[:, bins : 2 * bins], u[:, 2 * bins :] + U1, left=low, right=high, bottom=low, top=high
        )

    name = f"bounded_rational_quadratic(bins={bins},low={low},high={high})"
    return name, 3 * bins + 1, on_interval(low, high, inside)


def circular(bins):
    def f(x, u):
        turn = 2 * math.pi * torch.floor(x / (2 * math.pi) + 0.5)
        z, log_slope = normflows.utils.splines.unconstrained_rational_quadratic_spline(
            (x - turn)[None], u[None, :bins], u[None, bins : 2 * bins], u[None, 2 * bins : -1] + U1, tails="circular",
            tail_bound=math.pi,
        )  # fmt: skip
        return z[0] + turn + u[-1], log_slope[0]

    return f"circular_rational_quadratic(bins={bins})", 3 * bins + 1, f


def beyond(tail, inside):
    """A line of the slope that the map has at ±tail."""

    def f(x, u):
        end = x.clamp(-tail, tail)
        z, log_slope = inside(end, u)
        return (z, log_slope) if x == end else (z + log_slope.exp() * (x - end), log_slope)

    return f


def sum_of_squares(polynomials, degree, tail):
    def inside(x, u):
        a = u[1:].reshape(polynomials, degree + 1)
        f = zuko.transforms.SOSPolynomialTransform(a, slope=LEAST / (1 - LEAST), bound=tail)
        z, log_slope = f.call_and_ladj(x)
        return (1 - LEAST) * z + u[0], log_slope + math.log(1 - LEAST)

    name = f"sum_of_squares(polynomials={polynomials},degree={degree},tail={tail})"
    return name, 1 + polynomials * (degree + 1), beyond(tail, inside)


class Coefficients(zuko.transforms.BernsteinTransform):
    _constrain_theta = staticmethod(lambda theta: theta)


def bernstein(degree, tail):
    def f(x, u):
        delta = positive(u[1:])
        c = torch.cat([torch.zeros(1), delta.cumsum(0)]) - delta.sum() / 2
        c = u[0] + 2 * tail / degree * c
        if abs(x) > tail:
            return (c[-1] + delta[-1] * (x - tail), delta[-1].log()) if x > 0 else (c[0] + delta[0] * (x + tail), delta[0].log())
        z, log_slope = Coefficients(c, bound=tail).call_and_ladj(x)
        return z, log_slope

    return f"bernstein(degree={degree},tail={tail})", degree + 1, f


def deep_sigmoidal(units, layers):
    def f(x, u):
        total = 0
        for w, a, b in u.reshape(layers, 3, units, 1):
            layer = NeuralAutoregressive(lambda _: (inverse_softplus(positive(a)), w, b), units, "sigmoid")
            layer.eps = 0
            z = layer._call(x[None])
            total = total + layer.log_abs_det_jacobian(x[None], z)
            x = z[0]
        return x, total

    return f"deep_sigmoidal(units={units},layers={layers})", 3 * units * layers, f


def logistic_mixture(components, bound):
    def f(x, u):
        def inside(v):
            return bound * torch.tanh(v / bound)

        weight, mean, s = u[2:].reshape(3, components)
        base = distributions.Uniform(torch.zeros(components), torch.ones(components))
        steps = [distributions.SigmoidTransform().inv, distributions.AffineTransform(mean, inside(s).exp())]
        logistic = distributions.TransformedDistribution(base, steps)
        p = (softmax(weight, 0) * logistic.cdf(x)).sum()
        alpha = inside(u[1])
        y = torch.logit(p)
        (slope,) = torch.autograd.grad(y, x, create_graph=True)
        return u[0] + alpha.exp() * y, slope.log() + alpha

    return f"logistic_mixture(components={components},bound={bound})", 2 + 3 * components, f


def umnn(units, steps, tail):
    def inside(x, u):
        v, w, d = u[2:].reshape(3, units)
        v = 3 * v / (9 + units * v.square().sum()).sqrt()
        slope = 10 * torch.tanh(w + math.atanh(min(units / 10, 0.5)))
        centre = (2 * torch.arange(units) + 1) / units - 1
        b = 3 * torch.tanh(u[1] / 3)

        def g(x):
            return (b + (v * torch.tanh(slope * (x[..., None] / tail - centre) + d)).sum(-1)).exp()

        f = zuko.transforms.UnconstrainedMonotonicTransform(g, n=128, bound=tail, phi=(u,))
        z, log_slope = f.call_and_ladj(x)
        return z + u[0], log_slope

    return f"umnn(units={units},steps={steps},tail={tail})", 2 + 3 * units, beyond(tail, inside)


def additive():
    return "additive", 1, lambda x, u: (x - u[0], torch.zeros(()))


def boundary_of_nflows():
    """The slope just inside of a quadratic spline with linear tails, by differences of its values: 1 was meant."""
    u, v = torch.tensor([[0.5, -1, 0.3, 0.2]]), torch.tensor([[1.0, -0.5, 2.0]])
    x = torch.tensor([-3 + 1e-6, -3 + 2e-6])
    z, log_slope = splines.quadratic.unconstrained_quadratic_spline(
        x, u.expand(2, 4), v.expand(2, 3), tail_bound=3.0, tails="linear"
    )
    return float((z[1] - z[0]) / 1e-6), float(log_slope[0].exp())


def derivatives(y, *of):
    if not y.requires_grad:
        return [torch.zeros_like(v) for v in of]
    gradient = torch.autograd.grad(y, of, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(v) if g is None else g for g, v in zip(gradient, of)]


def line(name, count, f, x):
    u = torch.randn(count).requires_grad_()
    x = torch.tensor(x).requires_grad_()
    z, log_slope = f(x, u)
    slope, z_by_u = derivatives(z, x, u)
    slope = slope.reshape(())
    assert abs(slope.log().item() - log_slope.item()) < 1e-8, (name, x, slope, log_slope)
    log_by_x, log_by_u = derivatives(log_slope.sum(), x, u)
    numbers = [*u, x, z, log_slope, log_by_x, *z_by_u, *log_by_u]
    return " ".join([name, str(count), *(repr(v.item()) for v in numbers)])


lines = []
for name, count, f in [
    additive(), linear(5, 3.0), quadratic(5, 3.0), cubic(5, 3.0), bounded(4, -1.0, 2.0), circular(5),
    sum_of_squares(3, 3, 4.0), bernstein(7, 4.0), deep_sigmoidal(4, 2), logistic_mixture(4, 3.0), umnn(5, 96, 4.0),
]:  # fmt: skip
    for x in [5.5, -6.25, *(1.5 * torch.randn(POINTS)).tolist()]:
        lines.append(line(name, count, f, x))
(Path(__file__).parent / "transformers.txt").write_text("\n".join(lines) + "\n")
print("nflows' quadratic spline with linear tails has at an end the slopes", boundary_of_nflows())
