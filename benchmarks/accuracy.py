"""How accurate are the recipes over seeds, and do they agree with PyTorch on the same batches?

Each recipe is trained by Backlit and, from the same weights and in the same order of the same
augmented batches, by PyTorch; the learning rate of each step is the recipe's own schedule's. Every
finished training is one line of OUT, and trainings that are there already are not done again, so
that a run can be interrupted and gone on with.

    BACKLIT_DATA=FOLDER python benchmarks/accuracy.py nielsen mnist fashion --seeds 0 1 2
    BACKLIT_DATA=FOLDER python benchmarks/accuracy.py cifar10 --seeds 0 --threads 1

Prints the median over the seeds and the 95 % interval of the paired difference.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import twins

import backlit as bl
from backlit.train import recipes
from backlit.train.recipe import Recipe, Settings, fit_job, start
from backlit.train.run_folders import settings_from_text

# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def train_backlit(recipe: Recipe, settings: Settings) -> list[dict[str, Any]]:
    """The history of a training by `fit`."""
    job = start(recipe, settings)
    return fit_job(job, epochs=settings.epochs).rows


def train_torch(recipe: Recipe, settings: Settings) -> list[dict[str, Any]]:
    """The same training by PyTorch: Backlit gives weights, batches and learning rates."""
    import torch

    torch.set_num_threads(bl.get_num_threads())
    torch.manual_seed(settings.seed)
    job = start(recipe, settings)
    twin = twins.twin_of(recipe.name, settings, job)
    rows = []
    for epoch in range(1, settings.epochs + 1):
        began = time.perf_counter()
        twin.model.train()
        total, count = 0.0, 0
        for batch in job.train_data:
            total += twin.step([twins.as_torch(part) for part in batch]) * len(batch[-1])
            count += len(batch[-1])
            if job.scheduler is not None and job.scheduler_per_batch:
                _advance(job)
        metrics = bl.train.metrics.named_metrics(job.metrics)
        twin.model.eval()
        for *inputs, target in job.val_data:
            output = twin.forward([twins.as_torch(part) for part in inputs])
            for metric in metrics.values():
                metric.update(bl.from_numpy(output.numpy()), target)
        if job.scheduler is not None and not job.scheduler_per_batch:
            _advance(job)
        row = {"epoch": epoch, "train_loss": total / count}
        row |= {f"val_{name}": metric.compute() for name, metric in metrics.items()}
        row["seconds"] = round(time.perf_counter() - began, 3)
        print(f"torch {row}", flush=True)
        rows.append(row)
    return rows


def _advance(job: Any) -> None:
    """The recipe's schedule moves on; its optimizer has nothing to do here but to hold the rate."""
    job.optimizer._opt_called = True  # else the scheduler warns that no step was made
    job.scheduler.step()


def main() -> None:
    options = _options()
    path = Path(options.out)
    done = _read(path)
    for name in options.recipes:
        recipe = recipes.find(name)
        for seed in options.seeds:
            settings = settings_from_text(recipe, dict(s.split("=", 1) for s in options.set))
            settings.seed, settings.threads = seed, options.threads
            for framework in options.frameworks:
                key = [name, seed, framework, options.set]
                if any(line["key"] == key for line in done):
                    continue
                began = time.perf_counter()
                train = train_backlit if framework == "backlit" else train_torch
                rows = train(recipe, settings)
                line = {"key": key, "seconds": round(time.perf_counter() - began, 1), "rows": rows}
                done.append(line)
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "a") as file:
                    file.write(json.dumps(line) + "\n")
        _report(recipe, done)


def _report(recipe: Recipe, done: list[dict[str, Any]]) -> None:
    """Median of the last scores by framework, and the interval of the paired difference."""
    by_framework: dict[str, dict[int, float]] = {"backlit": {}, "torch": {}}
    for line in done:
        name, seed, framework, _ = line["key"]
        if name == recipe.name:
            by_framework[framework][seed] = line["rows"][-1][recipe.score]
    for framework, scores in by_framework.items():
        if scores:
            shown = ", ".join(f"{score:.4f}" for score in scores.values())
            print(f"{recipe.name} {framework}: median {median(scores.values()):.4f} ({shown})")
    ours, theirs = by_framework["backlit"], by_framework["torch"]
    differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    if len(differences) > 1:
        n = len(differences)
        half = STUDENT[n - 2] * stdev(differences) / math.sqrt(n)
        mean = fmean(differences)
        verdict = "holds" if abs(mean) <= half else "misses"
        print(
            f"  Backlit less PyTorch: {mean:+.4f}, 95 % interval from {mean - half:+.4f} "
            f"to {mean + half:+.4f}: {verdict} 0"
        )
    elif differences:
        print(f"  Backlit less PyTorch: {differences[0]:+.4f} (one pair)")


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipes", nargs="+", choices=sorted(twins.TWINS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--frameworks", nargs="+", default=["backlit", "torch"])
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", default="accuracy.jsonl")
    return parser.parse_args()


if __name__ == "__main__":
    main()
