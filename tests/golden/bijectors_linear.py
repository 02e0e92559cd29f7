"""Write bijectors_linear.csv: for each bijector at random parameters, events z and what they become. A line has

    formula, D, number of trained numbers, those (rho, in the order declared), z (D), x (D), log|det dx/dz|

Each map is its definition, quoted, in PyTorch float64; the log-determinant is that of the Jacobian that autograd makes.
"""

from pathlib import Path

import numpy as np
import torch
from permutation import permutation
from torch.nn.functional import softplus

torch.set_default_dtype(torch.float64)
HERE = Path(__file__).parent
POINTS = 3
random = np.random.default_rng(2015)


def planar(z, u, w, b):
    """Rezende & Mohamed 2015, eq. 10 and A.1; PyMC3 3.11, pymc3/variational/flows.py: make_uw."""
    wu = u @ w
    u_hat = u + (-1 + softplus(wu) - wu) * w / ((w**2).sum() + 1e-10)
    return z + u_hat * torch.tanh(z @ w + b)


def radial(z, z_ref, a, b):
    """Rezende & Mohamed 2015, eq. 14: z + beta h(alpha, r) (z - z_0); PyMC3: make_ab."""
    alpha = torch.exp(a)
    beta = -alpha + softplus(b)
    return z + beta / (alpha + torch.linalg.norm(z - z_ref)) * (z - z_ref)


def hh(z, v):
    """Tomczak & Welling 2016, eq. 8: (I - 2 v v' / |v|^2) z."""
    return (torch.eye(len(z)) - 2 * torch.outer(v, v) / (v @ v)) @ z


def lu(seed):
    def function(z, lower, upper):
        """Kingma & Dhariwal 2018, eq. 11: W = P L U; row i of P z is z_p(i)."""
        unit = torch.tril(lower, -1) + torch.eye(len(z))
        transposed = torch.tril(upper, -1) + torch.diag(softplus(torch.diagonal(upper)))
        return (unit @ transposed.T @ z)[permutation(seed, len(z))]

    return function


def leaky(z, slope):
    return torch.where(z > 0, z, softplus(slope) * z)


def square(d):
    return (d, d)


def affine(z, l, v, shift):
    """TensorFlow Probability, Affine: scale_tril or scale_diag + scale_perturb_factor @ its transpose; + shift."""
    if l.ndim == 1:
        scale = torch.diag(softplus(l))
    else:
        scale = torch.tril(l, -1) + torch.diag(softplus(torch.diagonal(l)))
    return (scale + v @ v.T) @ z + shift


def sylvester(z, v, r, r_diagonal, r_tilde, r_tilde_diagonal, b):
    """van den Berg et al. 2018, eq. 13: z + Q R tanh(R~ Q' z + b), Q of Householder reflections."""
    q = torch.eye(len(z))
    for w in v:
        q = q @ (torch.eye(len(z)) - 2 * torch.outer(w, w) / (w @ w))
    q = q[:, : len(v)]
    bounded = lambda rho: torch.diag(-0.99 + 1.98 * torch.sigmoid(rho))
    r = torch.tril(r, -1).T + bounded(r_diagonal)
    r_tilde = torch.tril(r_tilde, -1).T + bounded(r_tilde_diagonal)
    return z + q @ r @ torch.tanh(r_tilde @ q.T @ z + b)


def hidden(units):
    def at_most(d):
        return min(units, d)

    return [
        lambda d: (at_most(d), d),
        lambda d: (at_most(d), at_most(d)),
        lambda d: (at_most(d),),
        lambda d: (at_most(d), at_most(d)),
        lambda d: (at_most(d),),
        lambda d: (at_most(d),),
    ]


def columns(rank):
    return lambda d: (d, min(rank, d))


def vector(d):
    return (d,)


def one(d):
    return (1,)


def scalar(d):
    return ()


# formula, map, shapes of its parameters
BIJECTORS = [
    ("planar", planar, [vector, vector, scalar]),
    ("radial", radial, [vector, scalar, scalar]),
    ("hh", hh, [vector]),
    ("lu", lu(0), [square, square]),
    ("lu(seed=7)", lu(7), [square, square]),
    ("affine", affine, [square, columns(2), vector]),
    ("affine(0)", lambda z, l, shift: affine(z, l, torch.zeros(len(z), 1), shift), [square, vector]),
    ("affine(rank=5)", affine, [square, columns(5), vector]),
    ("affine(form=diagonal)", affine, [vector, columns(2), vector]),
    ("sylvester", sylvester, hidden(8)),
    ("sylvester(3)", sylvester, hidden(3)),
    ("leaky", leaky, [one]),
    ("leaky(slopes=each)", leaky, [vector]),
    ("tanh", torch.tanh, []),
    ("sigmoid", torch.sigmoid, []),
    ("softplus", softplus, []),
    ("exp", torch.exp, []),
]


def lines():
    for formula, function, shapes in BIJECTORS:
        for d in (1, 2, 3, 8):
            parameters = [torch.tensor(random.normal(size=shape(d))) for shape in shapes]
            rho = np.concatenate([np.empty(0)] + [p.numpy().ravel() for p in parameters])
            for _ in range(POINTS):
                z = torch.tensor(random.normal(size=d) * 1.5)
                x = function(z, *parameters)
                jacobian = torch.autograd.functional.jacobian(lambda v: function(v, *parameters), z)
                log_det = torch.linalg.slogdet(jacobian).logabsdet
                numbers = np.concatenate([rho, z.numpy(), x.numpy(), [log_det.item()]])
                yield ",".join([formula, str(d), str(len(rho))] + ["%.17g" % number for number in numbers])


(HERE / "bijectors_linear.csv").write_text("\n".join(lines()) + "\n")
