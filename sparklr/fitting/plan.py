"""From specs to coefficients: choose a solver for each problem and run all solvers in lockstep.

Depends on specs, problems, solvers and the protocol of a pass; not on where the rows are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sparklr.arrays import MEGABYTE
from sparklr.fitting.live_features import LiveFeatures
from sparklr.fitting.members import Key, Members, Watch
from sparklr.fitting.outcome import Fit, Round
from sparklr.fitting.spec import Spec
from sparklr.objective.moments import merge_all
from sparklr.passes.protocol import Passes
from sparklr.passes.threads import one_blas_thread


def _nobody(_: Round) -> None:
    """Ignore a round."""


# The driver's algebra is small or competes with Spark's tasks: more BLAS threads would only wait.
@one_blas_thread()
def fit_all(
    specs: Mapping[Key, Spec],
    passes: Passes,
    classes: int,
    *,
    budget: int = 256 * MEGABYTE,
    watch: Watch = _nobody,
) -> tuple[dict[Key, Fit], int]:
    """Fit every spec on the same rows, in lockstep; return the fits and the number of passes."""
    alive = LiveFeatures.of(passes, specs.values())
    if alive is not None:
        specs = {key: alive.spec(spec) for key, spec in specs.items()}
        fits, count = fit_all(specs, alive.passes, classes, budget=budget, watch=watch)
        return {key: alive.with_dead(fit) for key, fit in fits.items()}, count
    group: Members[Key] = Members(passes, budget, watch, len(specs))
    for key, spec in specs.items():
        group.pose(key, spec, classes, passes.moments, None)
    for wave in group.waves():
        starts = group.sample_starts(wave)
        group.run({key: group.from_sample(key, starts.get(key)) for key in wave})
    group.run_others()
    return {key: group.fits[key] for key in specs}, group.readings


@dataclass(frozen=True)
class WithoutFold:
    """One cross-validation fit: the fold it omits, its spec, and a warm start.

    Spec and classes are those of the rows in the other folds.
    """

    fold: int
    spec: Spec
    classes: int
    warm: Fit | None  # the fit on all rows, if its coefficients have the same shape


@one_blas_thread()
def fit_without_folds(
    members: Mapping[Key, WithoutFold],
    passes: Passes,
    *,
    budget: int = 256 * MEGABYTE,
    watch: Watch = _nobody,
) -> tuple[dict[Key, Fit], int]:
    """Fit every member without its fold, in lockstep; return the fits and the number of passes.

    Omitting one fold moves the optimum little. So each fit has a warm start at the fit on all rows,
    with the curvature of a sample there, and a few gradients are enough.
    """
    alive = LiveFeatures.of(passes, (left.spec for left in members.values()))
    if alive is not None:
        inner = {
            key: replace(
                left,
                spec=alive.spec(left.spec),
                warm=None if left.warm is None else alive.without_dead(left.warm),
            )
            for key, left in members.items()
        }
        fits, count = fit_without_folds(inner, alive.passes, budget=budget, watch=watch)
        return {key: alive.with_dead(fit) for key, fit in fits.items()}, count
    rests = {
        fold: merge_all(its for other, its in passes.folds.items() if other != fold)
        for fold in {left.fold for left in members.values()}
    }
    group: Members[Key] = Members(passes, budget, watch, len(members))
    for key, left in members.items():
        group.pose(key, left.spec, left.classes, rests[left.fold], left.fold)
    for wave in group.waves():
        starts = group.sample_starts([key for key in wave if members[key].warm is None])
        group.run(
            {
                key: group.from_sample(key, starts.get(key))
                if warm is None
                else group.from_fit(key, warm)
                for key, warm in ((key, members[key].warm) for key in wave)
            }
        )
    group.run_others()
    return {key: group.fits[key] for key in members}, group.readings
