"""A model of PyMC as a target: its compiled log-density and gradient, over its own real numbers; and what Weir draws, as the
model's own variables for ArviZ.

    pip install pymc && python pymc_target.py"""
import arviz as az
import numpy as np
import pymc as pm

import weir

effect = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
standard_error = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
with pm.Model(coords={"school": list("ABCDEFGH")}) as model:
    mu = pm.Normal("mu", 0, 5)
    tau = pm.HalfCauchy("tau", 5)
    eta = pm.Normal("eta", 0, 1, dims="school")
    theta = pm.Deterministic("theta", mu + tau * eta, dims="school")
    pm.Normal("y", theta, standard_error, observed=effect)

function = model.logp_dlogp_function(ravel_inputs=True)
function.set_extra_values({})
start = model.initial_point()
names = [variable.name for variable in model.value_vars]  # mu, tau_log__, eta: real numbers, as PyMC samples them
target = weir.Target(function, {name: start[name].size for name in names}, rows=False)

# A log-density and its gradient at a time are a call of Python's: give VI a budget, or its settings.
draws = weir.nuts(target, chains=4, tune=300, draws=300)
inference = weir.vi(target, budget=20)
print(f"log Z {inference.log_z:.2f}, k-hat {inference.khat:.2f}")

# The variables as the model has them, tau and theta too, are a function of those.
variables = model.unobserved_value_vars
own = model.compile_fn(variables, on_unused_input="ignore")
rows = {name: draws.sites[name].reshape(-1, *start[name].shape) for name in names}
values = [own({name: rows[name][i] for name in names}) for i in range(4 * 300)]
posterior = {variable.name: np.reshape([value[i] for value in values], (4, 300, *values[0][i].shape))
             for i, variable in enumerate(variables)}
trace = draws.to_arviz()  # whose sample_stats are the sampler's
dims = {name: list(of) for name, of in model.named_vars_to_dims.items()}
trace["posterior"] = az.convert_to_dataset(posterior, coords=model.coords, dims=dims)
print(az.summary(trace, var_names=["mu", "tau", "theta"])[["mean", "sd", "ess_bulk", "r_hat"]])
