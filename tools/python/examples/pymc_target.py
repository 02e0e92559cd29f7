"""A model of PyMC as a target: its compiled log-density and gradient, over its own real numbers.

    pip install pymc && python pymc_target.py"""
import numpy as np
import pymc as pm

import weir

with pm.Model() as model:
    mu = pm.Normal("mu", 0, 10)
    sigma = pm.HalfNormal("sigma", 5)
    pm.Normal("y", mu, sigma, observed=np.random.default_rng(1).normal(3, 2, 100))

function = model.logp_dlogp_function(ravel_inputs=True)
function.set_extra_values({})
target = weir.Target(function, sum(int(np.prod(v.type.shape)) for v in model.value_vars), rows=False)

draws = weir.nuts(target, tune=300, draws=300)
inference = weir.vi(target)
print(f"log Z {inference.log_z:.2f}, k-hat {inference.khat:.2f}")
for variable, (name, chains) in zip(model.value_vars, draws.summary().items()):
    print(f"{variable.name}: {inference.summary()[name].mean:.3f} by the flow, {chains.mean:.3f} by NUTS, "
          f"R-hat {chains.rhat:.3f}")
