"""A flow as a module of PyTorch: log-densities and draws with gradients, to be trained inside something else.

    module = weir.torch.FlowModule(weir.Flow("(rqs(64,64)-flip)*4", dim=2))
    loss = -module.log_prob(x).mean()
    loss.backward()                    # with respect to x, its context and module.trained

The computing is the library's, on the CPU and in the flow's dtype; tensors that are elsewhere are copied there and back.
torch.func works too, vmap included. There are no second derivatives."""
from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from weir._library import Array
from weir.flow import Flow, new_seed

if not hasattr(torch, "compiler"):
    raise ImportError(f"weir.torch needs PyTorch 2.1 or later, and this is {torch.__version__}")


def _numbers(tensor: torch.Tensor | None) -> Array | None:
    return None if tensor is None else tensor.detach().to("cpu", torch.float64).numpy()


def _rows(tensor: torch.Tensor, width: int) -> Array:
    rows = _numbers(tensor)
    assert rows is not None
    return rows.reshape(-1, width)


def _like(array: Array | None, tensor: torch.Tensor | None) -> torch.Tensor | None:
    """A gradient in the shape, dtype and place of what it is of."""
    return None if array is None or tensor is None else torch.from_numpy(array).to(tensor).reshape(tensor.shape)


class _Last(torch.autograd.Function):
    """A gradient that isn't differentiated any further."""

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError("a weir flow has no second derivatives: its gradients are not differentiable")


class _LogProb(torch.autograd.Function):
    @staticmethod
    def forward(flow: Flow, trained: torch.Tensor, x: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
        with _with(flow, trained):
            log_prob = flow.log_prob(_numbers(x), _numbers(context))
        return torch.from_numpy(np.asarray(log_prob)).to(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.flow = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, weight: torch.Tensor) -> Any:
        return None, *_gradient(_LogProbGradient, ctx.saved_tensors, ctx.flow, *ctx.saved_tensors, weight)

    @staticmethod
    def vmap(info: Any, in_dims: Any, flow: Flow, trained: torch.Tensor, x: torch.Tensor,
             context: torch.Tensor | None) -> Any:
        if in_dims[1] is not None:
            return _one_by_one(_LogProb, info, in_dims, flow, trained, x, context)
        rows = x.unsqueeze(0).expand(info.batch_size, *x.shape) if in_dims[2] is None else x.movedim(in_dims[2], 0)
        if context is not None and in_dims[3] is not None:  # a context for each of what is mapped, or for each row of it
            context = context.movedim(in_dims[3], 0)
            context = context.reshape(len(context), *[1] * (rows.ndim - context.ndim), *context.shape[1:])
        if context is not None:
            context = context.expand(*rows.shape[:-1], context.shape[-1])
        return _LogProb.apply(flow, trained, rows, context), 0  # type: ignore[no-untyped-call]


class _LogProbGradient(_Last):
    @staticmethod
    def forward(flow: Flow, trained: torch.Tensor, x: torch.Tensor, context: torch.Tensor | None,
                weight: torch.Tensor) -> Any:
        with _with(flow, trained):
            _, of_x, of_context, of_trained = flow.log_prob_gradient(_rows(x, flow.dim), _numbers(context),
                                                                     weight=_rows(weight, 1)[:, 0])
        return _like(of_trained, trained), _like(of_x, x), _summed(of_context, context)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *given: Any) -> Any:
        return _one_by_one(_LogProbGradient, info, in_dims, *given)


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(flow: Flow, n: int, seed: int, trained: torch.Tensor, context: torch.Tensor | None) -> Any:
        with _with(flow, trained):
            x, log_prob = flow.sample_and_log_prob(n, _numbers(context), seed=seed)
        return torch.from_numpy(x).to(trained), torch.from_numpy(log_prob).to(trained)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.given = inputs[:3]
        ctx.save_for_backward(*inputs[3:])

    @staticmethod
    def backward(ctx: Any, of_draws: torch.Tensor, weight: torch.Tensor) -> Any:
        return None, None, None, *_gradient(_SampleGradient, ctx.saved_tensors, *ctx.given, *ctx.saved_tensors, of_draws,
                                            weight)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *given: Any) -> Any:
        return _one_by_one(_Sample, info, in_dims, *given)


class _SampleGradient(_Last):
    @staticmethod
    def forward(flow: Flow, n: int, seed: int, trained: torch.Tensor, context: torch.Tensor | None,
                of_draws: torch.Tensor, weight: torch.Tensor) -> Any:
        with _with(flow, trained):
            of_context, of_trained = flow.sample_gradient(n, _numbers(context), seed=seed, x_weight=_numbers(of_draws),
                                                          weight=_numbers(weight))
        return _like(of_trained, trained), _summed(of_context, context)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *given: Any) -> Any:
        return _one_by_one(_SampleGradient, info, in_dims, *given)


def _gradient(function: Any, of: tuple[torch.Tensor | None, ...], *given: Any) -> tuple[torch.Tensor | None, ...]:
    """What `function` computes, a gradient of each of these but where one is None."""
    return tuple(None if one is None else gradient for one, gradient in zip(of, function.apply(*given)))


def _one_by_one(function: Any, info: Any, in_dims: Any, *given: Any) -> tuple[Any, Any]:
    """torch.func.vmap of what takes one set of numbers at a time."""
    each = [function.apply(*(one if dim is None else one.select(dim, i) for one, dim in zip(given, in_dims)))
            for i in range(info.batch_size)]
    if isinstance(each[0], torch.Tensor):
        return torch.stack(each), 0
    stacked = tuple(None if parts[0] is None else torch.stack(parts) for parts in zip(*each))
    return stacked, tuple(None if one is None else 0 for one in stacked)


def _summed(gradient: Array | None, context: torch.Tensor | None) -> torch.Tensor | None:
    """The gradient of a context; of a single one that all rows share, the sum of theirs."""
    if gradient is not None and context is not None and context.numel() != gradient.size:
        gradient = gradient.sum(axis=0)
    return _like(gradient, context)


def _with(flow: Flow, trained: torch.Tensor) -> AbstractContextManager[None]:
    """The flow with these numbers, for a while: in torch.func.functional_call they are others than the module's."""
    return flow._with(_own(flow, trained))


def _own(flow: Flow, trained: torch.Tensor) -> Any:
    """Trained numbers in the flow's dtype: the memory that they have where it is of that dtype."""
    return trained.detach().to("cpu", getattr(torch, flow.dtype.name)).numpy()


def _floating(values: Any) -> torch.Tensor:
    """A tensor of them; whole numbers in the default dtype, so that what is made in its likeness isn't rounded."""
    tensor = torch.as_tensor(values)
    return tensor if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())


class FlowModule(torch.nn.Module):
    """A weir.Flow whose trained numbers are the parameter `trained` of the module; at first they share the flow's
    memory, so that what an optimiser does is done to the flow. Where the module was moved, or has been given another
    parameter, `flow` of the module is the flow with that one's numbers."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self._flow = flow
        self.trained = torch.nn.Parameter(torch.from_numpy(flow.trained))

    @property
    def flow(self) -> Flow:
        self._flow.trained[:] = _own(self._flow, self.trained)
        return self._flow

    @torch.compiler.disable  # what is traced has no numbers
    def log_prob(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """log p (…) of events x (…, dim), in x's dtype."""
        given = None if context is None else _floating(context)
        return _LogProb.apply(self._flow, self.trained, _floating(x), given)  # type: ignore[no-any-return, no-untyped-call]

    forward = log_prob

    @torch.compiler.disable
    def sample(self, n: int, context: torch.Tensor | None = None, *,
               seed: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """n draws (n, dim), and log p of each: reparametrised, so that gradients pass through both."""
        return _Sample.apply(self._flow, n, new_seed(seed), self.trained, context)  # type: ignore[no-any-return, no-untyped-call]
