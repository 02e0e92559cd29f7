"""A flow inside JAX: its gradients against finite differences, under jit and vmap."""
import numpy as np
import pytest

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

import weir  # noqa: E402
import weir.jax  # noqa: E402


@pytest.fixture
def flow(rng):
    flow = weir.Flow("(maf(8)-flip)*2", dim=3, context=2, dtype="float64")
    flow.trained[:] = rng.normal(size=len(flow.trained)) / 3
    return flow


def test_gradients_of_log_prob(flow, rng):
    trained = jnp.asarray(flow.trained.copy())
    x, context = jnp.asarray(rng.normal(size=(4, 3))), jnp.asarray(rng.normal(size=(4, 2)))
    log_prob = jax.jit(lambda trained, x, context: weir.jax.log_prob(flow, trained, x, context))
    np.testing.assert_array_equal(log_prob(trained, x, context), flow.log_prob(x, context))
    check_grads(log_prob, (trained, x, context), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)
    check_grads(lambda one: log_prob(trained, x, one), (context[0],), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_gradients_of_draws(flow, rng):
    trained, context = jnp.asarray(flow.trained.copy()), jnp.asarray(rng.normal(size=(5, 2)))

    def draws(trained, context):
        return weir.jax.sample(flow, trained, 5, 7, context)

    np.testing.assert_array_equal(draws(trained, context)[0], flow.sample(5, context, seed=7))
    check_grads(draws, (trained, context), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_vmap(flow, rng):
    trained, x = jnp.asarray(flow.trained.copy()), jnp.asarray(rng.normal(size=(6, 3)))
    context = jnp.ones(2)
    expected = weir.jax.log_prob(flow, trained, x, context)
    over_rows = jax.vmap(lambda row: weir.jax.log_prob(flow, trained, row, context))
    np.testing.assert_array_equal(over_rows(x), expected)
    several = jnp.stack([trained, trained / 2])
    over_trained = jax.vmap(lambda trained: weir.jax.log_prob(flow, trained, x, context))(several)
    np.testing.assert_array_equal(over_trained[0], expected)
    np.testing.assert_array_equal(over_trained[1], weir.jax.log_prob(flow, several[1], x, context))
    each = jax.vmap(jax.grad(lambda row: weir.jax.log_prob(flow, trained, row, context)))(x)
    together = jax.grad(lambda x: weir.jax.log_prob(flow, trained, x, context).sum())(x)
    np.testing.assert_allclose(each, together, rtol=1e-12)


def test_compiled(flow, rng):
    """A step of training as users write it: the value and gradient under jit, mapped over ensembles."""
    trained, x = jnp.asarray(flow.trained.copy()), jnp.asarray(rng.normal(size=(6, 3)))
    several = jnp.stack([trained, trained / 2])

    def loss(trained, x):
        return -weir.jax.log_prob(flow, trained, x, jnp.ones(2)).mean()

    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(loss), in_axes=(0, None)))(several, x)
    for own, value, gradient in zip(several, values, gradients):
        np.testing.assert_allclose(value, loss(own, x), rtol=1e-12)
        np.testing.assert_allclose(gradient, jax.grad(loss)(own, x), rtol=1e-12)
    np.testing.assert_allclose(jax.jacrev(lambda x: weir.jax.log_prob(flow, trained, x, jnp.ones(2)))(x).sum(0),
                               -6 * jax.grad(loss, 1)(trained, x), rtol=1e-9)


@pytest.mark.parametrize("derive, exception, part", [
    (lambda f, x: jax.grad(lambda x: jax.grad(f)(x).sum())(x), NotImplementedError, "no second derivatives"),
    (lambda f, x: jax.jacrev(jax.grad(f))(x), NotImplementedError, "no second derivatives"),
    (lambda f, x: jax.hessian(f)(x), (NotImplementedError, TypeError), "no second derivatives|forward-mode"),
    (lambda f, x: jax.jvp(f, (x,), (x,)), TypeError, "forward-mode"),
])
def test_derivatives_that_there_are_not(flow, derive, exception, part):
    trained, context = jnp.asarray(flow.trained), jnp.ones(2)
    for function, x in ((lambda x: weir.jax.log_prob(flow, trained, x, context).sum(), jnp.ones((2, 3))),
                        (lambda trained: weir.jax.sample(flow, trained, 2, 1, context)[0].sum(), trained)):
        with pytest.raises(exception, match=part):
            derive(function, x)


def test_float32(flow, rng):
    x = jnp.asarray(rng.normal(size=(4, 3)), dtype=jnp.float32)
    found = weir.jax.log_prob(flow, jnp.asarray(flow.trained, dtype=jnp.float32), x, jnp.ones(2, dtype=jnp.float32))
    assert found.dtype == jnp.float32


def test_the_flow_stays_as_it_was(flow):
    own = flow.trained.copy()
    jax.grad(lambda trained: weir.jax.log_prob(flow, trained, jnp.ones((2, 3)), jnp.ones(2)).sum())(jnp.zeros(len(own)))
    np.testing.assert_array_equal(flow.trained, own)


def test_keys_and_whole_numbers(flow):
    trained, key, context = jnp.asarray(flow.trained), jax.random.key(1), jnp.ones(2)
    np.testing.assert_array_equal(weir.jax.sample(flow, trained, 3, key, context)[0],
                                  weir.jax.sample(flow, trained, 3, jax.random.bits(key), context)[0])
    np.testing.assert_array_equal(weir.jax.log_prob(flow, trained, jnp.ones((2, 3), dtype=int), context),
                                  flow.log_prob(np.ones((2, 3)), np.ones(2)))


@pytest.mark.parametrize("width, dropped, context, part", [
    (2, 0, 2, "3 numbers in its last axis"), (3, 1, 2, "trained must be of shape"), (3, 0, None, "is conditional"),
])
def test_mistakes_are_told(flow, width, dropped, context, part):
    trained = jnp.asarray(flow.trained)[dropped:]
    with pytest.raises(weir.ArgumentError, match=part):
        weir.jax.log_prob(flow, trained, jnp.ones((2, width)), context and jnp.ones(context))
