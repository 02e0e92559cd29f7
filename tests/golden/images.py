"""Write images.csv and images_gradients.csv: flows of images at random parameters, by normflows in float64 (pip install
normflows torch), in the formats of bijectors_*.csv and cnf_gradients.csv.

normflows' Glow blocks, squeezes and merges make the multi-scale flows, its MaskedAffineFlow the coupling by a
checkerboard. Where parameterisations differ, parameters are mapped here, and derivatives are those of the mapped ones:

    coupling   normflows has shift and log-scale in turn, Weir all shifts and then all log-scales, which are 3 tanh(a / 3)
    conv       Weir's weight is (kernel, kernel, outputs, inputs)
    conv1x1    normflows' matrix W is from x to z; Weir's is its inverse, R L U with R the reversal of the channels
    image      Weir's events have a pixel's channels side by side
"""

from pathlib import Path

import normflows
import torch
from normflows.flows import ActNorm, GlowBlock, MaskedAffineFlow, Merge, Squeeze
from normflows.flows.base import Composite
from torch.nn.functional import softplus

HERE = Path(__file__).parent
BOUND, WIDTH = 3, 2
torch.manual_seed(2018)
torch.set_default_dtype(torch.float64)
COUPLING = f"coupling({WIDTH};{WIDTH};activation=relu;network=conv"
BLOCK = COUPLING + ")-conv1x1-actnorm"


class Parameters:
    """Numbers in Weir's order, handed out from the first to the last; those that are new are drawn."""

    def __init__(self):
        self.taken = []

    def take(self, *shape, scale=0.5):
        self.taken.append((scale * torch.randn(*shape)).requires_grad_())
        return self.taken[-1]


def put(module, name, value):
    """In the place of a parameter, a value that others are derived from."""
    delattr(module, name)
    setattr(module, name, value)


class Network(torch.nn.Module):
    """normflows' ConvNet2d with parameters of Weir's."""

    def __init__(self, parameters, inputs, outputs, kernel):
        super().__init__()
        sizes = (inputs, WIDTH, WIDTH, outputs)
        self.net = normflows.nets.ConvNet2d(sizes, (kernel, 1, kernel), init_zeros=False)
        for layer in self.net.net[::2]:
            k, out = layer.kernel_size[0], layer.out_channels
            weight = parameters.take(k, k, out, layer.in_channels)
            put(layer, "weight", weight.permute(2, 3, 0, 1))
            put(layer, "bias", parameters.take(out))

    def forward(self, x):
        shift, a = self.net(x).chunk(2, dim=1)
        return shift, BOUND * torch.tanh(a / BOUND)


class One(torch.nn.Module):
    """Of the shift and the log-scale."""

    def __init__(self, network, which):
        super().__init__()
        self.network, self.which = network, which

    def forward(self, x):
        return self.network(x)[self.which]


class InTurn(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        shift, log_scale = self.network(x)
        return torch.stack((shift, log_scale), dim=2).flatten(1, 2)


def mix(parameters, layer, channels):
    scale = 0.5 / channels**0.5  # so that the matrix can be inverted
    lower, upper = (parameters.take(channels, channels, scale=scale) for _ in range(2))
    unit = torch.tril(lower, -1) + torch.eye(channels)
    transposed = torch.tril(upper, -1) + torch.diag(softplus(torch.diagonal(upper)))
    put(layer, "W", torch.inverse((unit @ transposed.T).flip(0)))


def normalize(parameters, layer, channels):
    put(layer, "t", parameters.take(1, channels, 1, 1))
    put(layer, "s", parameters.take(1, channels, 1, 1))
    layer.data_dep_init_done = torch.tensor(1.0)


def glow_block(parameters, channels):
    block = GlowBlock(channels, WIDTH, scale_map="exp", use_lu=False)
    block.flows[0].flows[1].param_map = InTurn(Network(parameters, channels // 2, channels, 3))
    mix(parameters, block.flows[1], channels)
    normalize(parameters, block.flows[2], channels)
    return block


def multi_scale(parameters, levels, channels, steps):
    """Parameters come from the deepest level on."""
    flows = []
    for level in range(levels):
        inside = channels * 2 ** (levels - 1 - level) * 4
        flows.append([glow_block(parameters, inside) for _ in range(steps)] + [Squeeze()])
    return flows


def masked(parameters, channels, height, width, kernel):
    seen = (torch.arange(height)[:, None] + torch.arange(width)) % 2 == 0
    network = Network(parameters, channels, 2 * channels, kernel)
    mask = seen.to(torch.float64).expand(channels, height, width).clone()
    flow = MaskedAffineFlow(mask, One(network, 0), One(network, 1))
    actnorm = ActNorm((channels, 1, 1))
    normalize(parameters, actnorm, channels)
    return [Composite([flow, actnorm])]


def base(*shape):
    return normflows.distributions.DiagGaussian(shape, trainable=False)


def level_formula(levels, steps):
    own = f"({BLOCK})*{steps})" if steps > 1 else BLOCK + ")"
    return "squeeze(" + (f"split({level_formula(levels - 1, steps)})-" if levels > 1 else "") + own


def cases():
    for levels, channels, size, steps in [(1, 1, (4, 2), 2), (2, 1, (4, 4), 1), (3, 1, (8, 8), 1), (1, 3, (2, 4), 1)]:
        parameters = Parameters()
        flows = multi_scale(parameters, levels, channels, steps)
        shapes = []
        for level in range(levels):
            scale = 2 ** (levels - level)
            kept = channels * 2 ** (levels - 1 - level) * (4 if level == 0 else 2)
            shapes.append((kept, size[0] // scale, size[1] // scale))
        merges = [Merge() for _ in shapes[1:]]
        model = normflows.MultiscaleFlow([base(*s) for s in shapes], flows, merges, class_cond=False)
        formula = f"image({size[0]};{size[1]};{channels};{level_formula(levels, steps)})"
        yield formula, (channels, *size), parameters.taken, model
    for channels, height, width, kernel in [(1, 3, 5, 3), (2, 5, 3, 5)]:
        parameters = Parameters()
        flows = masked(parameters, channels, height, width, kernel)
        network = f"{COUPLING}(kernel={kernel});mask=checkerboard)"
        shape = (channels, height, width)
        model = normflows.MultiscaleFlow([base(*shape)], [flows], [], class_cond=False)
        yield f"image({height};{width};{channels};{network}-actnorm)", shape, parameters.taken, model


def numbers(values):
    return [repr(float(v)) for v in values.detach().flatten()]


def as_event(x):
    """(1, channels, height, width) as Weir has an image."""
    return x.permute(0, 2, 3, 1)


def merged(levels):
    """What the levels have, as Weir's base has it: beside each other where they are split, from the outermost in."""
    z = levels[0]
    for outer in levels[1:]:
        z, _ = Squeeze()(z)
        z = torch.cat((z, outer), dim=1)
    return z


with open(HERE / "images.csv", "w") as values, open(HERE / "images_gradients.csv", "w") as gradients:
    for formula, shape, taken, model in cases():
        rho = torch.cat([p.flatten() for p in taken])
        x = torch.randn(1, *shape, requires_grad=True)
        z, log_det = model.inverse_and_log_det(x)
        levels = z if isinstance(z, (list, tuple)) else [z]
        whole = merged(list(levels))
        if "squeeze" in formula:
            whole, _ = Squeeze()(whole)
        back, _ = model.forward_and_log_det(list(levels))
        assert torch.allclose(back, x, rtol=0, atol=1e-9)
        head = [formula, str(x.numel()), str(rho.numel())] + numbers(rho)
        print(",".join(head + numbers(as_event(whole)) + numbers(as_event(x)) + numbers(-log_det)), file=values)
        log_prob = model.log_prob(x, None)
        got = torch.autograd.grad(log_prob.sum(), [x] + taken, allow_unused=True)
        got = [torch.zeros_like(p) if g is None else g for g, p in zip(got, [x] + taken)]
        line = [*head[:2], "0", *head[2:]] + numbers(as_event(x)) + numbers(log_prob) + numbers(as_event(got[0]))
        print(",".join(line + [n for g in got[1:] for n in numbers(g)]), file=gradients)
