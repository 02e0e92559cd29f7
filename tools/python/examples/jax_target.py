"""A model of JAX as a target: eight schools, whose mean and spread are estimated from the effects of eight of them.

    pip install jax && python jax_target.py"""
import jax
import jax.numpy as jnp

import weir

jax.config.update("jax_enable_x64", True)
effect = jnp.array([28.0, 8, -3, 7, -1, 1, 18, 12])
error = jnp.array([15.0, 10, 16, 11, 9, 11, 10, 18])


def log_density(values):
    """Of one vector: mu, tau, and how far each school is from the mean in units of tau."""
    mu, tau, theta = values[0], values[1], values[2:]
    normal = jax.scipy.stats.norm.logpdf
    prior = normal(mu, 0, 5) + jax.scipy.stats.cauchy.logpdf(tau, 0, 5) + normal(theta).sum()
    return prior + normal(effect, mu + tau * theta, error).sum()


# A call has many rows: JAX maps over them, and compiles that.
rows = jax.jit(jax.vmap(jax.value_and_grad(log_density)))
target = weir.Target(rows, {"mu": 1, "tau": weir.Site(1, "positive"), "theta": 8})

inference = weir.vi(target, "iaf(16)-flip-scale-loc", iters=2000, learning_rate=0.01, schedule="cosine")
draws = weir.nuts(target, chains=4, tune=300, draws=300)
print(f"log Z {inference.log_z:.2f}, k-hat {inference.khat:.2f}")
for name, chains in list(draws.summary().items())[:2]:
    print(f"{name}: {inference.summary()[name].mean:.2f} by the flow, {chains.mean:.2f} by NUTS, R-hat {chains.rhat:.3f}")
