"""Steps of every optimiser on fixed gradients, in float64: optimizers.csv. The formulas are written out below as their
sources have them (PyMC3 3.11's pymc3/variational/updates.py and the papers that it cites), and held against torch.optim
where that does the same."""
import csv
import numpy as np
import torch

STEPS, PARAMETERS = 12, 6
rng = np.random.default_rng(1)
w0 = rng.normal(size=PARAMETERS)
gradients = rng.normal(size=(STEPS, PARAMETERS)) * np.array([1, 100, 1e-3, 1e-8, 1, 1])
gradients[:, 4] = 0  # never used
gradients[3:, 5] = 0  # not used any more


def sgd(w, g, t, s, lr=1e-3):
    return w - lr * g


def momentum(w, g, t, s, lr=1e-3, mu=0.9):  # velocity := momentum * velocity - learning_rate * gradient
    s["v"] = mu * s.get("v", 0) - lr * g
    return w + s["v"]


def nesterov(w, g, t, s, lr=1e-3, mu=0.9):  # param := param + momentum * velocity - learning_rate * gradient
    s["v"] = mu * s.get("v", 0) - lr * g
    return w + mu * s["v"] - lr * g


def adagrad(w, g, t, s, lr=1.0, epsilon=1e-6):  # accu += g^2; step = lr g / sqrt(accu + epsilon)
    s["accu"] = s.get("accu", 0) + g**2
    return w - lr * g / np.sqrt(s["accu"] + epsilon)


def adagrad_window(w, g, t, s, lr=1e-3, epsilon=0.1, window=10):  # accu: the squares of the last `window` steps
    s["squares"] = (s.get("squares", []) + [g**2])[-window:]
    return w - lr * g / np.sqrt(sum(s["squares"]) + epsilon)


def rmsprop(w, g, t, s, lr=1.0, rho=0.9, epsilon=1e-6):  # r_t = rho r + (1-rho) g^2; lr_t = lr / sqrt(r_t + epsilon)
    s["r"] = rho * s.get("r", 0) + (1 - rho) * g**2
    return w - lr / np.sqrt(s["r"] + epsilon) * g


def adadelta(w, g, t, s, lr=1.0, rho=0.95, epsilon=1e-6):  # Zeiler 2012, algorithm 1; the step is scaled afterwards
    s["r"] = rho * s.get("r", 0) + (1 - rho) * g**2
    step = np.sqrt(s.get("s", 0) + epsilon) / np.sqrt(s["r"] + epsilon) * g
    s["s"] = rho * s.get("s", 0) + (1 - rho) * step**2
    return w - lr * step


def adam(w, g, t, s, lr=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):  # a_t = lr sqrt(1-beta2^t) / (1-beta1^t)
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g**2
    return w - lr * np.sqrt(1 - beta2**t) / (1 - beta1**t) * s["m"] / (np.sqrt(s["v"]) + epsilon)


def adamw(w, g, t, s, lr=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, decay=0.01):  # Loshchilov & Hutter, algorithm 2
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g**2
    m_hat, v_hat = s["m"] / (1 - beta1**t), s["v"] / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + epsilon) - lr * decay * w


def adamax(w, g, t, s, lr=2e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):  # Kingma & Ba, algorithm 2, and epsilon
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    s["u"] = np.maximum(beta2 * s.get("u", 0), abs(g))
    return w - lr / (1 - beta1**t) * s["m"] / (s["u"] + epsilon)


def path(rule, clip=np.inf, l2=0.0, **options):
    w, state, past = w0.copy(), {}, []
    for t, g in enumerate(gradients, 1):
        g = g * min(1, clip / np.sqrt(np.sum(g**2))) + l2 * w
        w = rule(w, g, t, state, **options)
        past.append(w)
    return np.array(past)


def torch_path(optimizer, epsilon=None):
    w, past = torch.tensor(w0, requires_grad=True), []
    optimizer = optimizer([w])
    for t, g in enumerate(gradients, 1):
        w.grad = torch.tensor(g)
        if epsilon:  # PyMC3's epsilon is added to the root of v before its bias is corrected
            optimizer.param_groups[0]["eps"] = epsilon(t)
        optimizer.step()
        past.append(w.detach().numpy().copy())
    return np.array(past)


RULES = [sgd, momentum, nesterov, adagrad, adagrad_window, rmsprop, adadelta, adam, adamw, adamax]
paths = {rule.__name__: path(rule) for rule in RULES}
paths |= {
    "sgd_clip": path(sgd, lr=0.1, clip=0.5),
    "momentum_decay": path(momentum, lr=0.01, mu=0.5, l2=0.1),
    "adagrad_epsilon": path(adagrad, lr=0.5, epsilon=0.1),
    "adagrad_window_3": path(adagrad_window, lr=0.1, window=3, epsilon=0.01),
    "rmsprop_rho": path(rmsprop, lr=0.01, rho=0.5),
    "adadelta_rho": path(adadelta, lr=0.5, rho=0.5, epsilon=1e-3),
    "adam_betas": path(adam, lr=0.1, beta1=0.5, beta2=0.98, clip=1.0, l2=0.1),
    "adamw_decay": path(adamw, lr=0.1, beta2=0.9, decay=0.5),
    "adamax_betas": path(adamax, lr=0.1, beta1=0.8, beta2=0.5, epsilon=1e-3),
}

O = torch.optim
for name, theirs in {
    "sgd": torch_path(lambda w: O.SGD(w, lr=1e-3)),
    "momentum": torch_path(lambda w: O.SGD(w, lr=1e-3, momentum=0.9)),
    "nesterov": torch_path(lambda w: O.SGD(w, lr=1e-3, momentum=0.9, nesterov=True)),
    "adadelta": torch_path(lambda w: O.Adadelta(w, lr=1.0, rho=0.95, eps=1e-6)),
    "adam": torch_path(lambda w: O.Adam(w, lr=1e-3), lambda t: 1e-8 / np.sqrt(1 - 0.999**t)),
    "adamw": torch_path(lambda w: O.AdamW(w, lr=1e-3, weight_decay=0.01)),
}.items():
    assert np.allclose(paths[name], theirs, rtol=1e-12, atol=1e-14), name

with open("optimizers.csv", "w", newline="") as file:
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["step", "gradient", *paths])
    for i in range(PARAMETERS):
        out.writerow([0, 0, *[repr(float(w0[i]))] * len(paths)])
    for t in range(STEPS):
        for i in range(PARAMETERS):
            values = [gradients[t, i], *(p[t, i] for p in paths.values())]
            out.writerow([t + 1, *(repr(float(v)) for v in values)])
