"""How fast do the models of the zoo train, and in how much memory, beside PyTorch?

One model of each family at a size that people train on a CPU. Backlit's compiled step, its eager
step and PyTorch's eager step (the same model file with the import changed, the same batch, SGD
with momentum) take turns, each in a process of its own, so that a busy machine slows all alike.

    python benchmarks/zoo.py                    # all; a few minutes
    python benchmarks/zoo.py gpt vgg --repeats 5

Prints parameters, steps per second, their ratio to PyTorch's (medians over the repeats; above 1:
Backlit is faster) and the peak memory above what importing takes. `compiled.py` has the twelve
workloads beside torch.compile and JAX.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

FRAMEWORKS = ("compiled", "eager", "torch")


@dataclass(frozen=True)
class Entry:
    """A model by the names of a library's `models`, its batch, and what is minimized.

    `loss(F, m, out, batch)` sees the library's functional, its models, the output, the batch.
    """

    build: Callable[[Any], Any]
    batch: Callable[[np.random.Generator], list[np.ndarray]]
    loss: Callable[..., Any]


def floats(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda draw: draw.standard_normal(shape, np.float32)


def wholes(below: int, *shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda draw: draw.integers(0, below, shape)


def batch(*parts: Callable[[np.random.Generator], np.ndarray]) -> Any:
    return lambda draw: [part(draw) for part in parts]


def cross_entropy(F: Any, m: Any, out: Any, given: list[Any]) -> Any:
    return F.cross_entropy(out, given[-1])


def reconstruction(F: Any, m: Any, out: Any, given: list[Any]) -> Any:
    return F.mse_loss(out, given[0])


def images(count: int, channels: int, side: int, classes: int = 10) -> Any:
    return batch(floats(count, channels, side, side), wholes(classes, count))


def sequences(count: int, steps: int, features: int) -> Any:
    return batch(floats(count, steps, features), wholes(10, count))


def positive(F: Any, m: Any, out: Any, given: list[Any]) -> Any:
    return m.negative_elbo(out[0], given[0].sigmoid(), *out[1:])


ZOO = {
    "mlp": Entry(lambda m: m.MLP([784, 256, 128, 10]), batch(floats(128, 784), wholes(10, 128)),
                 cross_entropy),
    "lenet5": Entry(lambda m: m.LeNet5(), images(64, 1, 32), cross_entropy),
    "vgg": Entry(lambda m: m.VGG(11, True, 10, width=16, hidden=256), images(64, 3, 32),
                 cross_entropy),
    "resnet20": Entry(lambda m: m.resnet20(), images(64, 3, 32), cross_entropy),
    "preresnet20": Entry(lambda m: m.PreActResNet(20), images(64, 3, 32), cross_entropy),
    "resnet18": Entry(lambda m: m.resnet18(), images(4, 3, 128, 1000), cross_entropy),
    "densenet40": Entry(lambda m: m.DenseNet(40, 12), images(32, 3, 32), cross_entropy),
    "unet": Entry(lambda m: m.UNet(2, 1, 16, 3),
                  batch(floats(8, 1, 64, 64), wholes(2, 8, 64, 64)), cross_entropy),
    "autoencoder": Entry(lambda m: m.Autoencoder(), batch(floats(128, 784)), reconstruction),
    "conv autoencoder": Entry(lambda m: m.ConvAutoencoder(), batch(floats(64, 1, 28, 28)),
                              reconstruction),
    "vae": Entry(lambda m: m.VAE(), batch(floats(128, 784)), positive),
    "rnn": Entry(lambda m: m.RowClassifier("rnn"), sequences(64, 28, 28), cross_entropy),
    "lstm": Entry(lambda m: m.RowClassifier("lstm"), sequences(64, 28, 28), cross_entropy),
    "gru": Entry(lambda m: m.RowClassifier("gru"), sequences(64, 28, 28), cross_entropy),
    "attention": Entry(lambda m: m.AttentionClassifier(28), sequences(64, 28, 28), cross_entropy),
    "vit": Entry(lambda m: m.VisionTransformer(), images(64, 1, 28), cross_entropy),
    "gpt": Entry(
        lambda m: m.GPT(65, 64, 128, 4, 4),
        batch(wholes(65, 16, 64), wholes(65, 16, 64)),
        lambda F, m, out, given: F.cross_entropy(out.flatten(0, 1), given[1].flatten()),
    ),
    "c3d": Entry(lambda m: m.C3D(10, 1, image=32, width=8, hidden=128, dropout=0.0),
                 batch(floats(8, 1, 16, 32, 32), wholes(10, 8)), cross_entropy),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(ZOO))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--window", type=float, default=0.7, help="seconds of one measurement")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker, options.threads)
        return
    unknown = [name for name in options.models if name not in ZOO]
    if unknown:
        parser.error(f"no model {unknown[0]!r}; there are {', '.join(ZOO)}")
    print(f"{'model':17}{'parameters':>11}  {'compiled':>9}{'eager':>9}{'PyTorch':>9}  "
          f"{'compiled/':>9}{'eager/':>7}  {'MB':>5}{'MB eager':>9}{'MB PyTorch':>11}")  # fmt: skip
    for name in options.models or ZOO:
        line(name, options)


def line(name: str, options: Any) -> None:
    """Measure one model in turns and print its line."""
    command = [sys.executable, __file__, "--threads", str(options.threads), "--worker", name]
    workers = {
        f: subprocess.Popen([*command, f], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for f in FRAMEWORKS
    }
    ready = {f: ask(worker, "0.01") for f, worker in workers.items()}
    rates: dict[str, list[float]] = {f: [] for f in FRAMEWORKS}
    for _ in range(options.repeats):
        for f, worker in workers.items():
            answer = ask(worker, str(options.window))
            rates[f].append(answer["rate"])
            ready[f] |= answer
    for worker in workers.values():
        worker.communicate()
    speed = {f: median(values) for f, values in rates.items()}
    ratio = {
        f: median(a / b for a, b in zip(rates[f], rates["torch"])) for f in ("compiled", "eager")
    }
    memory = [f"{ready[f]['mb']:.0f}" for f in FRAMEWORKS]
    print(f"{name:17}{ready['torch']['parameters']:>11,}  {speed['compiled']:>9.4g}"
          f"{speed['eager']:>9.4g}{speed['torch']:>9.4g}  {ratio['compiled']:>9.2f}"
          f"{ratio['eager']:>7.2f}  {memory[0]:>5}{memory[1]:>9}{memory[2]:>11}",
          flush=True)  # fmt: skip


def ask(worker: Any, seconds: str) -> Any:
    worker.stdin.write(seconds + "\n")
    worker.stdin.flush()
    return json.loads(worker.stdout.readline())


def work(name: str, framework: str, threads: int) -> None:
    """A worker: for every line on stdin a window of steps, and what it measured."""
    library, models, step, parameters, base = prepare(name, framework, threads)
    del library, models
    for text in sys.stdin:
        seconds = float(text)
        step()  # what was slept through is paid here
        began, count = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < seconds:
            step()
            count += 1
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answer = {"rate": count / spent, "mb": peak - base, "parameters": parameters}
        print(json.dumps(answer), flush=True)


def prepare(name: str, framework: str, threads: int) -> tuple[Any, Any, Any, int, float]:
    """Library, its models, one training step, the number of parameters, memory of the imports."""
    entry = ZOO[name]
    if framework == "torch":
        import torch as library
        from torch.nn import functional as F
        from twins import ported_models

        models = ported_models()
        tensor = library.from_numpy
    else:
        import backlit as library
        from backlit import models
        from backlit.nn import functional as F

        tensor = library.from_numpy
    library.set_num_threads(threads)
    library.manual_seed(0)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    model = entry.build(models)
    optimizer = library.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    given = [tensor(array) for array in entry.batch(np.random.default_rng(0))]

    def step(*parts: Any) -> Any:
        optimizer.zero_grad()
        loss = entry.loss(F, models, model(parts[0]), list(parts))
        loss.backward()
        optimizer.step()
        return loss

    call = library.compile(step) if framework == "compiled" else step
    parameters = sum(p.numel() for p in model.parameters())
    return library, models, lambda: call(*given).item(), parameters, base


if __name__ == "__main__":
    main()
