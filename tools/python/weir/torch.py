"""A flow as a module of PyTorch: log-densities and draws with gradients, to be trained inside something else.

    module = weir.torch.FlowModule(weir.Flow("(rqs(64,64)-flip)*4", dim=2))
    loss = -module.log_prob(x).mean()
    loss.backward()                    # with respect to x, its context and module.trained

The computing is the library's, on the CPU and in the flow's dtype; tensors that are elsewhere are copied there and back.
There are no second derivatives."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch

from weir._library import Array
from weir.flow import Flow, new_seed


def _numbers(tensor: torch.Tensor | None) -> Array | None:
    return None if tensor is None else tensor.detach().cpu().numpy().astype(np.float64, copy=False)


def _rows(tensor: torch.Tensor, width: int) -> Array:
    rows = _numbers(tensor)
    assert rows is not None
    return rows.reshape(-1, width)


def _like(array: Array | None, tensor: torch.Tensor | None) -> torch.Tensor | None:
    """A gradient in the shape, dtype and place of what it is of."""
    return None if array is None or tensor is None else torch.from_numpy(array).to(tensor).reshape(tensor.shape)


class _LogProb(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, flow: Flow, trained: torch.Tensor, x: torch.Tensor, context: torch.Tensor | None) -> Any:
        ctx.flow = flow
        ctx.save_for_backward(trained, x, context)
        return torch.from_numpy(np.asarray(flow.log_prob(_numbers(x), _numbers(context)))).to(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weight: torch.Tensor) -> Any:
        trained, x, context = ctx.saved_tensors
        _write(ctx.flow, trained)
        rows = _rows(x, ctx.flow.dim)
        _, of_x, of_context, of_trained = ctx.flow.log_prob_gradient(rows, _numbers(context),
                                                                     weight=_rows(weight, 1)[:, 0])
        return None, _like(of_trained, trained), _like(of_x, x), _summed(of_context, context)


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, flow: Flow, n: int, seed: int, trained: torch.Tensor, context: torch.Tensor | None) -> Any:
        ctx.flow, ctx.n, ctx.seed = flow, n, seed
        ctx.save_for_backward(trained, context)
        x, log_prob = flow.sample_and_log_prob(n, _numbers(context), seed=seed)
        return torch.from_numpy(x).to(trained), torch.from_numpy(log_prob).to(trained)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_draws: torch.Tensor, weight: torch.Tensor) -> Any:
        trained, context = ctx.saved_tensors
        _write(ctx.flow, trained)
        of_context, of_trained = ctx.flow.sample_gradient(ctx.n, _numbers(context), seed=ctx.seed,
                                                          x_weight=_numbers(of_draws), weight=_numbers(weight))
        return None, None, None, _like(of_trained, trained), _summed(of_context, context)


def _summed(gradient: Array | None, context: torch.Tensor | None) -> torch.Tensor | None:
    """The gradient of a context; of a single one that all rows share, the sum of theirs."""
    if gradient is not None and context is not None and context.numel() != gradient.size:
        gradient = gradient.sum(axis=0)
    return _like(gradient, context)


def _write(flow: Flow, trained: torch.Tensor) -> None:
    """The module's numbers into the flow, unless they share its memory, as at first."""
    own = flow.trained
    if trained.data_ptr() != own.ctypes.data:
        own[:] = trained.detach().cpu().numpy()


class FlowModule(torch.nn.Module):
    """A weir.Flow whose trained numbers are the parameter `trained` of the module; at first they share the flow's
    memory, so that what an optimiser does is done to the flow."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow = flow
        self.trained = torch.nn.Parameter(torch.from_numpy(flow.trained))

    def log_prob(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """log p (…) of events x (…, dim), in x's dtype."""
        _write(self.flow, self.trained)
        return _LogProb.apply(self.flow, self.trained, x, context)  # type: ignore[no-any-return, no-untyped-call]

    forward = log_prob

    def sample(self, n: int, context: torch.Tensor | None = None, *,
               seed: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """n draws (n, dim), and log p of each: reparametrised, so that gradients pass through both."""
        _write(self.flow, self.trained)
        return _Sample.apply(self.flow, n, new_seed(seed), self.trained, context)  # type: ignore[no-any-return, no-untyped-call]
