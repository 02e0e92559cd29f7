"""The step of variational inference that planar.c measures, in JAX."""

import jax
import jax.numpy as jnp

DIM = 2


def initial_parameters(layers, key):
    u, w, b = jax.random.split(key, 3)
    return {"u": 0.3 * jax.random.normal(u, (layers, DIM)), "w": 0.3 * jax.random.normal(w, (layers, DIM)),
            "b": 0.3 * jax.random.normal(b, (layers,))}


def loss(p, key, rows):
    wu, norm = (p["w"] * p["u"]).sum(axis=1, keepdims=True), (p["w"] ** 2).sum(axis=1, keepdims=True) + 1e-10
    u_hat = p["u"] + (jax.nn.softplus(wu) - 1 - wu) * p["w"] / norm
    uw = (u_hat * p["w"]).sum(axis=1)
    z, log_det = jax.random.normal(key, (rows, DIM)), 0
    for k in range(len(p["b"])):
        t = jnp.tanh(z @ p["w"][k] + p["b"][k])
        log_det = log_det + jnp.log(jnp.abs(1 + (1 - t**2) * uw[k]))
        z = z + t[:, None] * u_hat[k]
    return (energy(z) - log_det).mean()


def energy(x):
    """U1 of Rezende & Mohamed 2015."""
    ring = 0.5 * ((jnp.sqrt((x**2).sum(axis=1)) - 2) / 0.4) ** 2
    lobes = jnp.stack([-0.5 * ((x[:, 0] + shift) / 0.6) ** 2 for shift in (-2, 2)])
    return ring - jax.nn.logsumexp(lobes, axis=0)
