"""Write imported_*.safetensors, the state_dict() of flows of zuko and nflows with random weights, and imported.csv: of
each, points x, contexts c and log p by that library. Needs torch, zuko, nflows and safetensors."""

import csv
from pathlib import Path

import torch
import zuko
from nflows.distributions.normal import StandardNormal
from nflows.flows.base import Flow
from nflows.nn.nets import ResidualNet
from nflows import transforms as t
from safetensors.torch import save_file

HERE = Path(__file__).parent
POINTS = 6
torch.manual_seed(2026)


def residual(inputs, outputs):
    return ResidualNet(inputs, outputs, hidden_features=6, num_blocks=2)


def masked(kind, **more):
    return kind(4, 7, use_residual_blocks=False, num_blocks=2, **more)


def nflows(*steps):
    return Flow(t.CompositeTransform(steps), StandardNormal([4]))


spline = {"num_bins": 5, "tails": "linear", "tail_bound": 3.0}
flows = {
    "zuko_maf": zuko.flows.MAF(4, 0, transforms=3, hidden_features=(7, 10), randperm=True),
    "zuko_maf_context": zuko.flows.MAF(4, 2, transforms=2, hidden_features=(9,)),
    "zuko_nice_context": zuko.flows.NICE(4, 2, transforms=3, hidden_features=(5, 6)),
    "zuko_nsf": zuko.flows.NSF(4, 0, bins=5, transforms=3, hidden_features=(7, 10), randperm=True),
    "zuko_nsf_context": zuko.flows.NSF(4, 2, bins=4, slope=1e-3, transforms=2, hidden_features=(9,)),
    "nflows_maf": nflows(
        t.ReversePermutation(4),
        masked(t.MaskedAffineAutoregressiveTransform),
        t.RandomPermutation(4),
        masked(t.MaskedAffineAutoregressiveTransform),
    ),
    "nflows_spline_maf": nflows(
        masked(t.MaskedPiecewiseRationalQuadraticAutoregressiveTransform, **spline), t.RandomPermutation(4)
    ),
    "nflows_coupling": nflows(
        t.AffineCouplingTransform([1, 0, 1, 1], residual),
        t.PiecewiseRationalQuadraticCouplingTransform([0, 1, 0, 1], residual, **spline),
        t.AffineCouplingTransform([0, 1, 0, 0], residual),
    ),
}
with open(HERE / "imported.csv", "w", newline="") as file:
    to = csv.writer(file, lineterminator="\n")
    for name, flow in flows.items():
        for dtype in torch.float64, torch.float32:
            torch.set_default_dtype(torch.float64)
            flow = flow.to(dtype)
            if dtype == torch.float64:
                with torch.no_grad():
                    for parameter in flow.parameters():
                        parameter.add_(0.3 * torch.randn_like(parameter))
            full = f"{name}_{str(dtype)[-2:]}"
            if dtype == torch.float32 and name not in ("zuko_maf", "nflows_coupling"):
                continue
            save_file({k: v.contiguous() for k, v in flow.state_dict().items()}, HERE / f"imported_{full}.safetensors")
            context = 2 if name.endswith("context") else 0
            x = 1.5 * torch.randn(POINTS, 4, dtype=dtype)
            c = torch.randn(POINTS, context, dtype=dtype)
            with torch.no_grad():
                if name.startswith("zuko"):
                    log_prob = (flow(c) if context else flow()).log_prob(x)
                else:
                    log_prob = flow.log_prob(x)
            for i in range(POINTS):
                numbers = [*x[i].tolist(), *c[i].tolist(), log_prob[i].item()]
                to.writerow([full, *(repr(v) for v in numbers)])
