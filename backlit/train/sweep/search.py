"""Which values come next, and which trials are not worth going on with: Optuna's decisions.

Bergstra et al. 2011, "Algorithms for hyper-parameter optimization" (tree-structured Parzen
estimator), and pruning by the median of earlier trials at the same epoch. The study is made anew
from the records before each trial, so that a resumed sweep decides as an uninterrupted one.
"""

from __future__ import annotations

import math
from typing import Any

from backlit.errors import NotAvailable
from backlit.train.sweep.records import FINISHED, PRUNED, Sweep, Trial
from backlit.train.sweep.space import Choices, Range

FIRST = 3  # trials before earlier ones are learned from
SHARE = 3  # at least one trial in so many of the budget is drawn blindly


class Proposal:
    """The values of a new trial, and whether it falls behind as its first training goes on."""

    def __init__(self, sweep: Sweep):
        optuna = optuna_package()
        plan = sweep.plan
        number = len(sweep.trials)
        blind = max(FIRST, plan.budget // SHARE)
        study = optuna.create_study(
            direction="minimize" if plan.recipe.lower_is_better else "maximize",
            # Seeded by the number: the draws of a trial depend on nothing but what came before.
            sampler=optuna.samplers.TPESampler(n_startup_trials=blind, seed=number),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST),
        )
        distributions = {name: _distribution(values) for name, values in plan.space.items()}
        for trial in sweep.ended():
            study.add_trial(_as_optuna(trial, distributions))
        self._asked = study.ask(distributions)
        self.params = {
            name: values.rounded(self._asked.params[name]) for name, values in plan.space.items()
        }

    def falls_behind(self, epoch: int, score: float) -> bool:
        """Whether earlier trials were better at this epoch, their median at least."""
        self._asked.report(score, epoch)
        return bool(self._asked.should_prune())


def optuna_package() -> Any:
    """Optuna, silent. Raises NotAvailable where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise NotAvailable(
            "sweep: the package optuna is missing", hint="pip install 'backlit[sweep]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distribution(values: Range | Choices) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(values, Choices):
        return CategoricalDistribution(values.values)
    if values.whole:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _as_optuna(trial: Trial, distributions: dict[str, Any]) -> Any:
    """A trial of ours as one of Optuna's; one without a score is worse than all others."""
    from optuna.trial import TrialState, create_trial

    scores = trial.runs[0].scores if trial.state in (FINISHED, PRUNED) else []
    return create_trial(
        state=TrialState.COMPLETE if trial.state == FINISHED else TrialState.PRUNED,
        value=trial.score if trial.state == FINISHED else None,
        params=trial.params,
        distributions=distributions,
        intermediate_values={n: s for n, s in enumerate(scores, 1) if math.isfinite(s)},
    )
