"""A flow inside PyTorch: its gradients against finite differences and a density of PyTorch's own."""
import numpy as np
import pytest

torch = pytest.importorskip("torch", minversion="2.1")

import weir  # noqa: E402
import weir.torch  # noqa: E402


def module(formula="(maf(8)-flip)*2", dim=3, context=0):
    flow = weir.Flow(formula, dim=dim, context=context, dtype="float64")
    flow.trained[:] = np.random.default_rng(1).normal(size=len(flow.trained)) / 3
    return weir.torch.FlowModule(flow)


def test_gradients_of_log_prob():
    of = module(context=2)
    x = torch.randn(4, 5, 3, dtype=torch.float64, requires_grad=True)
    context = torch.randn(4, 5, 2, dtype=torch.float64, requires_grad=True)
    assert of.log_prob(x, context).shape == (4, 5)
    assert torch.autograd.gradcheck(lambda x, context, _: of(x, context), (x, context, of.trained))
    one = torch.randn(2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(of.log_prob, (x, one))


def test_gradients_of_draws():
    of = module(context=2)
    context = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda context, _: of.sample(5, context, seed=3), (context, of.trained))


def test_equals_a_density_of_pytorch(rng):
    of = module("scale-loc", 2)
    x = torch.from_numpy(rng.normal(size=(6, 2))).requires_grad_()
    rho, mean = of.trained.detach().clone().requires_grad_().reshape(2, 2).unbind()
    normal = torch.distributions.Normal(mean, torch.nn.functional.softplus(rho))
    expected = torch.autograd.grad(normal.log_prob(x).sum(), x)[0]
    assert torch.allclose(torch.autograd.grad(of(x).sum(), x)[0], expected, atol=1e-12)


def test_trains(correlated):
    of = weir.torch.FlowModule(weir.Flow("affine", dim=2))
    x = torch.from_numpy(correlated).float()
    assert of(x).dtype == torch.float32
    optimizer = torch.optim.Adam(of.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss = -of(x).mean()
        loss.backward()
        optimizer.step()
    entropy = 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * np.cov(correlated.T)))
    assert abs(loss.item() - entropy) < 0.02
    np.testing.assert_array_equal(of.flow.trained, of.trained.detach().numpy())


def test_state_dict():
    one, other = module(), module()
    with torch.no_grad():
        one.trained += 0.1
    other.load_state_dict(one.state_dict())
    x = torch.randn(3, 3, dtype=torch.float64)
    assert torch.equal(one(x), other(x))
    moved = module().to(torch.float32)  # the parameter has memory of its own from here on
    with torch.no_grad():
        moved.trained.zero_()
    assert torch.equal(moved(x), torch.from_numpy(np.asarray(moved.flow.log_prob(x.numpy()))))
    assert not moved.flow.trained.any()


def test_numbers_of_another(rng):
    """A call with other numbers than the module's leaves the module, and its flow, as they were."""
    of = module()
    x = torch.from_numpy(rng.normal(size=(4, 3)))
    before, other = of(x), torch.zeros_like(of.trained)
    normal = -(x**2).sum(1) / 2 - 1.5 * np.log(2 * np.pi)
    assert torch.allclose(torch.func.functional_call(of, {"trained": other}, (x,)), normal)
    assert torch.equal(of(x), before)
    np.testing.assert_array_equal(of.flow.log_prob(x.numpy()), before.detach().numpy())


def test_functions_of_torch(rng):
    """torch.func: gradients as those of backward(), and vmap over rows, contexts, numbers and seeds of a flow."""
    of = module(context=2)
    x, context = torch.from_numpy(rng.normal(size=(4, 3))), torch.from_numpy(rng.normal(size=(4, 2)))
    numbers = torch.stack([of.trained.detach(), of.trained.detach() / 2])

    def log_prob(trained, x, context):
        return torch.func.functional_call(of, {"trained": trained}, (x, context))

    plain = of(x, context)
    assert torch.equal(torch.func.vmap(of)(x, context), plain)
    assert torch.equal(torch.func.vmap(of, in_dims=(0, None))(x, context[0]), of(x, context[:1].expand(4, 2)))
    assert torch.equal(torch.func.vmap(of, in_dims=(None, 0))(x, context)[1], of(x, context[1:2].expand(4, 2)))
    assert torch.equal(torch.func.vmap(of, in_dims=(1, None))(x[:, None].expand(4, 5, 3), context), plain.expand(5, 4))
    assert torch.equal(torch.func.vmap(log_prob, in_dims=(0, None, None))(numbers, x, context)[0], plain)

    leaves = [given.detach().clone().requires_grad_() for given in (of.trained, x, context)]
    expected = torch.autograd.grad(log_prob(*leaves).sum(), leaves)
    found = torch.func.grad(lambda *given: log_prob(*given).sum(), argnums=(0, 1, 2))(of.trained, x, context)
    assert all(torch.allclose(one, other, rtol=1e-12) for one, other in zip(found, expected))
    of_each = torch.func.vmap(torch.func.grad(log_prob), in_dims=(None, 0, 0))(of.trained, x, context)
    assert of_each.shape == (4, len(of.trained)) and torch.allclose(of_each.sum(0), expected[0], rtol=1e-12)

    def draws(trained):
        return torch.func.functional_call(_Draws(of), {"of.trained": trained}, ())

    of_draws = torch.func.vmap(torch.func.grad(draws))(numbers)
    assert torch.allclose(of_draws[0], torch.autograd.grad(draws(of.trained), of.trained)[0], rtol=1e-12)
    with pytest.raises(NotImplementedError, match="no second derivatives"):
        torch.func.jacrev(torch.func.grad(lambda x: log_prob(of.trained, x, context).sum()))(x)


class _Draws(torch.nn.Module):
    """A number made of draws and their log-densities."""

    def __init__(self, of):
        super().__init__()
        self.of = of

    def forward(self):
        x, log_prob = self.of.sample(3, torch.ones(2, dtype=torch.float64), seed=5)
        return (x**2).sum() + log_prob.sum()


def test_dtypes():
    of = module()
    expected = of(torch.ones(2, 3, dtype=torch.float64))
    assert torch.equal(of(torch.ones(2, 3, dtype=torch.int64)), expected.to(torch.get_default_dtype()))
    assert torch.equal(of(torch.ones(2, 3, dtype=torch.bfloat16)), expected.bfloat16())
    assert torch.equal(of(np.ones((2, 3))), expected)


def test_compiled():
    of = module()
    x = torch.ones(2, 3, dtype=torch.float64)
    assert torch.equal(torch.compile(of, backend="eager")(x), of(x))
