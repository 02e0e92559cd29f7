"""A flow as functions of JAX: log-densities and draws with gradients, under jit, grad and vmap.

    trained = jax.numpy.asarray(flow.trained)
    loss = lambda trained: -weir.jax.log_prob(flow, trained, x).mean()
    jax.grad(loss)(trained)

The computing is the library's, on the CPU and in the flow's dtype, by a callback. There are no second derivatives."""
from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from weir import errors
from weir.flow import Flow

_lock = threading.Lock()  # a flow has one set of numbers, and callbacks come from several threads


def _with(flow: Flow, trained: Any, evaluate: Callable[..., Any], *arrays: Any) -> Any:
    """What evaluate gives of these arrays, with these numbers in the flow. Under vmap arrays have axes in front, of 1
    where they aren't mapped over: all rows of one set of numbers are evaluated at once."""
    trained = np.asarray(trained)
    if trained.ndim > 1 and len(trained) > 1:
        each = [[array[i if len(array) > 1 else 0] for array in map(np.asarray, arrays)] for i in range(len(trained))]
        parts = [_with(flow, one, evaluate, *own) for one, own in zip(trained, each)]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)
    with _lock, flow._with(trained.reshape(-1)):
        return evaluate(*map(np.asarray, arrays))


def _callback(flow: Flow, evaluate: Callable[..., Any]) -> Callable[..., Any]:
    return lambda trained, *arrays: _with(flow, trained, evaluate, *arrays)


_shape: Any = jax.ShapeDtypeStruct  # of some versions without types


def _floating(values: Any) -> Any:
    """An array of them; of whole numbers too one whose likeness isn't rounded."""
    array = jax.numpy.asarray(values)
    return array if jax.numpy.issubdtype(array.dtype, jax.numpy.floating) else array.astype(float)


def _checked(flow: Flow, trained: Any) -> Any:
    found, size = _floating(trained), len(flow.trained)
    if found.shape != (size,):
        raise errors.ArgumentError(f"trained must be of shape ({size},), as flow.trained is, and is of {found.shape}")
    return found


# ---- Densities ------------------------------------------------------------------------------------------------------


def log_prob(flow: Flow, trained: Any, x: Any, context: Any = None) -> Any:
    """log p (…) of events x (…, dim), with `trained` in the place of flow.trained; the context is (…, context size), or
    one for all rows."""
    x, size = _floating(x), flow.context_size
    if x.ndim == 0 or x.shape[-1] != flow.dim:
        raise errors.ArgumentError(f"x must have {flow.dim} numbers in its last axis, and is of shape {x.shape}")
    if context is None and size:
        raise errors.ArgumentError(f"this flow is conditional: it needs a context of {size} numbers for each row")
    given = np.zeros((*x.shape[:-1], 0)) if context is None else context
    return _log_prob(flow, _checked(flow, trained), x, jax.numpy.broadcast_to(given, (*x.shape[:-1], size)))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _log_prob(flow: Flow, trained: Any, x: Any, context: Any) -> Any:
    def evaluate(rows: Any, conditions: Any) -> Any:
        found = flow.log_prob(rows, _conditions(flow, rows, conditions))
        return np.asarray(found, dtype=x.dtype)

    return jax.pure_callback(_callback(flow, evaluate), _shape(x.shape[:-1], x.dtype), trained, x, context,
                             vmap_method="expand_dims")


def _conditions(flow: Flow, rows: Any, conditions: Any) -> Any:
    if not flow.context_size:
        return None
    return np.broadcast_to(conditions, (*rows.shape[:-1], flow.context_size))


def _log_prob_forward(flow: Flow, trained: Any, x: Any, context: Any) -> Any:
    return _log_prob(flow, trained, x, context), (trained, x, context)


def _log_prob_backward(flow: Flow, kept: Any, weight: Any) -> Any:
    return _log_prob_gradient(flow, *kept, weight)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_prob_gradient(flow: Flow, trained: Any, x: Any, context: Any, weight: Any) -> Any:
    def differentiate(rows: Any, conditions: Any, weights: Any) -> Any:
        given = _conditions(flow, rows, conditions)
        _, of_x, of_context, of_trained = flow.log_prob_gradient(rows, given, weight=weights.reshape(-1))
        none = np.zeros(context.shape, context.dtype)
        return (of_trained.astype(trained.dtype), of_x.reshape(x.shape).astype(x.dtype),
                none if of_context is None else of_context.reshape(context.shape).astype(context.dtype))

    shapes = tuple(_shape(of.shape, of.dtype) for of in (trained, x, context))
    return jax.pure_callback(_callback(flow, differentiate), shapes, trained, x, context, weight,
                             vmap_method="sequential")


_log_prob.defvjp(_log_prob_forward, _log_prob_backward)

# ---- Draws ----------------------------------------------------------------------------------------------------------


def sample(flow: Flow, trained: Any, n: int, seed: Any, context: Any = None) -> tuple[Any, Any]:
    """n draws (n, dim) and log p of each: a function of `trained` and the context, through which gradients pass; the
    seed is a whole number or a jax.random.key()."""
    given = np.zeros((n, 0)) if context is None else context
    trained, seed = _checked(flow, trained), jax.numpy.asarray(seed)
    if jax.numpy.issubdtype(seed.dtype, jax.dtypes.prng_key):
        seed = jax.random.bits(seed)
    conditions = jax.numpy.broadcast_to(given, (n, flow.context_size)).astype(trained.dtype)
    drawn: tuple[Any, Any] = _sample(flow, n, trained, seed.astype(jax.numpy.uint32), conditions)
    return drawn


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _sample(flow: Flow, n: int, trained: Any, seed: Any, context: Any) -> Any:
    def draw(of: Any, conditions: Any) -> Any:
        x, log_prob = flow.sample_and_log_prob(n, conditions if flow.context_size else None, seed=int(of))
        return x.astype(trained.dtype), log_prob.astype(trained.dtype)

    shapes = _shape((n, flow.dim), trained.dtype), _shape((n,), trained.dtype)
    return jax.pure_callback(_callback(flow, draw), shapes, trained, seed, context,
                             vmap_method="sequential")


def _sample_forward(flow: Flow, n: int, trained: Any, seed: Any, context: Any) -> Any:
    return _sample(flow, n, trained, seed, context), (trained, seed, context)


def _sample_backward(flow: Flow, n: int, kept: Any, weights: Any) -> Any:
    of_trained, of_context = _sample_gradient(flow, n, *kept, *weights)
    return of_trained, np.zeros(kept[1].shape, jax.dtypes.float0), of_context


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _sample_gradient(flow: Flow, n: int, trained: Any, seed: Any, context: Any, of_draws: Any, weight: Any) -> Any:
    def differentiate(of: Any, conditions: Any, of_draws: Any, weight: Any) -> Any:
        of_context, of_trained = flow.sample_gradient(n, conditions if flow.context_size else None, seed=int(of),
                                                      x_weight=of_draws, weight=weight)
        none = np.zeros(context.shape, context.dtype)
        return of_trained.astype(trained.dtype), none if of_context is None else of_context.astype(context.dtype)

    shapes = _shape(trained.shape, trained.dtype), _shape(context.shape, context.dtype)
    return jax.pure_callback(_callback(flow, differentiate), shapes, trained, seed, context, of_draws, weight,
                             vmap_method="sequential")


_sample.defvjp(_sample_forward, _sample_backward)


def _refuse(*given: Any) -> Any:
    raise NotImplementedError("a weir flow has no second derivatives: its gradients are not differentiable")


_log_prob_gradient.defjvp(_refuse)
_sample_gradient.defjvp(_refuse)
