"""Bits per dimension of the digits that scikit-learn ships, held out, by a Glow of Weir's and by normflows' of the same
architecture, after as much CPU time of one thread each:

    python3 tools/bench/images.py .build/weir [--epochs 100] [--steps 4] [--width 32]

Every tenth digit is held out. Weir trains for so many epochs, and then normflows, which pip installs, for as many as
take the time that Weir took, in the same batches, with the same optimizer, Adam at 0.002 with a cosine. Both see the pixels
as log((x + u) / (17 - x - u)), u uniform noise, and are scored by the mean of p over 64 draws of it. normflows starts from
its own initial weights and scales by sigmoids, which are its defaults; of both the last weights count, for Weir's choice
among epochs would see the digits that are held out.
"""

import argparse
import json
import math
import os
import pathlib
import resource
import subprocess
import tempfile
import time

import numpy as np

os.environ["OMP_NUM_THREADS"] = "1"
DIGITS = pathlib.Path(__file__).parents[2] / "tests/golden/digits.npy"
LEVELS, BATCH, DRAWS, RATE, VALUES = 3, 64, 64, 0.002, 17


def bits(nats):
    return nats / (64 * math.log(2))


def weir(program, train, held, options):
    """The bits of the last epoch's weights, and the CPU time of training in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("train", train), ("held", held)):
            np.save(f"{folder}/{name}.npy", rows)
        model = f"{folder}/digits.safetensors"
        flow = f"glow(levels={LEVELS},steps={options.steps},width={options.width})"
        words = [program, "fit", f"{folder}/train.npy", "--flow", flow, "--epochs", options.epochs, "--batch", BATCH, "--lr", RATE,
                 "--val-fraction", 0, "--threads", 1, "--checkpoint", 0, "-o", model]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([str(w) for w in words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        scored = subprocess.run([program, "logprob", model, f"{folder}/held.npy", "--json"], check=True, stdout=subprocess.PIPE)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return json.loads(scored.stdout)["bits_per_dim"], seconds


def glow(steps, width):
    import normflows
    from normflows.flows import GlowBlock, Merge, Squeeze

    bases, flows = [], []
    for level in range(LEVELS):
        channels, size = 2 ** (LEVELS - 1 - level) * 4, 8 // 2 ** (LEVELS - level)
        flows.append([GlowBlock(channels, width) for _ in range(steps)] + [Squeeze()])
        kept = channels if level == 0 else channels // 2
        bases.append(normflows.distributions.DiagGaussian((kept, size, size), trainable=False))
    return normflows.MultiscaleFlow(bases, flows, [Merge() for _ in bases[1:]], class_cond=False)


def features(x, random):
    """With noise, and the log-derivative of each row."""
    t = x + random.uniform(size=x.shape)
    rest = VALUES - t
    return np.log(t / rest), np.log(VALUES / (t * rest)).sum(axis=(1, 2))


def peer(train, held, seconds, options):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)
    random = np.random.default_rng(1)
    model = glow(options.steps, options.width)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    begin, steps = time.process_time(), 0
    while (part := (time.process_time() - begin) / seconds) < 1:
        order = random.permutation(len(train))
        for first in range(0, len(train) - BATCH + 1, BATCH):
            part = (time.process_time() - begin) / seconds
            for group in optimizer.param_groups:
                group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * min(part, 1)))
            x, _ = features(train[order[first : first + BATCH]].astype(float), random)
            loss = -model.log_prob(torch.tensor(x[:, None], dtype=torch.float32), None).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
            optimizer.step()
            steps += 1
            if part >= 1:
                break
    total = np.full(len(held), -np.inf)
    with torch.no_grad():
        for _ in range(DRAWS):
            x, slope = features(held.astype(float), random)
            log_prob = model.log_prob(torch.tensor(x[:, None], dtype=torch.float32), None).double().numpy()
            total = np.logaddexp(total, log_prob + slope)
    return bits(-(total - math.log(DRAWS)).mean()), steps * BATCH / len(train)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weir", help="the command, .build/weir")
    for name, initial in (("epochs", 100), ("steps", 4), ("width", 32)):
        parser.add_argument(f"--{name}", type=int, default=initial)
    options = parser.parse_args()
    digits = np.load(DIGITS)
    is_held = np.arange(len(digits)) % 10 == 9
    train, held = digits[~is_held], digits[is_held]
    own, seconds = weir(options.weir, train, held, options)
    print(f"weir       {own:.3f} bits per dimension, {options.epochs} epochs, {seconds:.1f} s of CPU time", flush=True)
    theirs, epochs = peer(train, held, seconds, options)
    print(f"normflows  {theirs:.3f} bits per dimension, {epochs:.1f} epochs, {seconds:.1f} s of CPU time")


if __name__ == "__main__":
    main()
