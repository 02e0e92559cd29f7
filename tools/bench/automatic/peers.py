"""What others make of the same splits: a normal, a mixture of normals, and zuko's MAF and NSF.

compare.py has this run. Needs numpy, scikit-learn, torch and zuko."""

import time
import warnings

import numpy as np
import torch
import zuko
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import cross_val_score

COMPONENTS = [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30]
BATCH, LEARNING_RATE, CLIP = 256, 1e-3, 5.0


def normal(train, test):
    """With the full covariance, by maximum likelihood."""
    covariance = np.cov(train.T, bias=True).reshape(train.shape[1], -1)
    factor = np.linalg.cholesky(covariance + 1e-12 * np.diag(np.diag(covariance)))
    z = np.linalg.solve(factor, (test - train.mean(0)).T)
    return -0.5 * (z**2).sum(0) - np.log(np.diag(factor)).sum() - 0.5 * train.shape[1] * np.log(2 * np.pi)


def mixture(train, test):
    """Of normals, as many as five folds of the training rows are best with."""
    scores = []
    for k in [k for k in COMPONENTS if 5 * k <= len(train)]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores.append(np.mean(cross_val_score(GaussianMixture(k, random_state=0), train, cv=5)))
        if len(scores) > 3 and max(scores[-3:]) < max(scores):
            break
    best = COMPONENTS[int(np.argmax(scores))]
    return GaussianMixture(best, random_state=0, n_init=3).fit(train).score_samples(test)


def flow(make, train, test, seconds, seed):
    """Adam, and the weights of the epoch that a tenth of the training rows is best with, within so many seconds."""
    torch.manual_seed(seed)
    rows, model = torch.tensor(train, dtype=torch.float32)[torch.randperm(len(train))], make(train.shape[1])
    held, rows = rows.split([max(1, len(rows) // 10), len(rows) - max(1, len(rows) // 10)])
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    patience = max(20, 3000 * BATCH // len(rows) // 10)
    begun, epoch, best, best_epoch, weights = time.time(), 0, np.inf, 0, None
    while weights is None or (time.time() - begun < seconds and epoch - best_epoch <= patience):
        for index in torch.randperm(len(rows)).split(BATCH):
            loss = -model().log_prob(rows[index]).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
        epoch += 1
        with torch.no_grad():
            loss = -model().log_prob(held).mean().item()
        if loss < best or weights is None:
            best, best_epoch = loss, epoch
            weights = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(weights)
    with torch.no_grad():
        return model().log_prob(torch.tensor(test, dtype=torch.float32)).double().numpy()


FLOWS = {
    "maf": lambda dim: zuko.flows.MAF(dim, transforms=5, hidden_features=(64, 64)),
    "nsf": lambda dim: zuko.flows.NSF(dim, transforms=5, hidden_features=(64, 64), bins=8),
}


def log_likelihoods(train, test, seconds, seed):
    """Of the test rows, for each peer, in the rows' own units."""
    mean, scale = train.mean(0), train.std(0) + 1e-12
    a, b = (train - mean) / scale, (test - mean) / scale
    scores = {"normal": normal(a, b), "mixture": mixture(a, b)}
    for name, make in FLOWS.items():
        scores[name] = flow(make, a, b, seconds, seed)
    return {name: score - np.log(scale).sum() for name, score in scores.items()}
