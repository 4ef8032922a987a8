"""Features that no row has are left out of fits in memory, and nobody sees a difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.fitting import live_features
from sparklr.fitting.live_features import LiveFeatures
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import WithoutFold, fit_all, fit_without_folds
from sparklr.fitting.spec import Spec
from sparklr.objective.bounds import Bounds
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.objective.moments import merge_all, moments_of
from sparklr.passes.local import LocalPasses
from tests.fitting.test_l1_in_memory import FEATURES, words
from tests.tiers import first_and_deep


@pytest.fixture(autouse=True)
def few_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """About half of the features of `words` are live."""
    monkeypatch.setattr(live_features, "LIVE", 0.9)


def folded(classes: int) -> LocalPasses:
    """The rows of `words` in two folds."""
    passes = words(classes)
    halves = [passes.sample.take(slice(begin, None, 2)) for begin in range(2)]
    blocks = [replace(half, fold=fold) for fold, half in enumerate(halves)]
    folds = {block.fold: moments_of(block) for block in blocks}
    return LocalPasses(blocks, merge_all(folds.values()), passes.sample, folds=folds)


@pytest.mark.parametrize(
    ("mixing", "family", "classes"),  # with mixing 1.0 equal columns share as they like
    first_and_deep(
        [(0.0, BINOMIAL, 2), (0.0, MULTINOMIAL, 3), (0.5, MULTINOMIAL, 3), (0.5, BINOMIAL, 2)],
        first=3,
    ),
)
def test_fits_are_those_with_all_features(
    mixing: float, family: Family, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = folded(classes)
    spec = Spec(family, regParam=0.05, elasticNetParam=mixing, tol=1e-8, maxIter=1_000)
    start = replace(spec, initial=(np.ones((spec.family.margins(classes), FEATURES)), np.zeros(1)))
    specs = {"plain": spec, "initial": start} if classes == 2 else {"plain": spec}

    def fits() -> tuple[dict[str, Fit], dict[str, Fit]]:
        whole, _ = fit_all(specs, passes, classes)
        left = {key: WithoutFold(1, spec, classes, fit) for key, fit in whole.items()}
        return whole, fit_without_folds(left, passes)[0]

    alive = LiveFeatures.of(passes, specs.values())
    assert alive is not None
    assert 1_000 < len(alive.live) < 0.9 * FEATURES
    found = fits()
    monkeypatch.setattr(live_features, "MANY_FEATURES", np.inf)
    assert LiveFeatures.of(passes, specs.values()) is None
    for some, others in zip(found, fits(), strict=True):
        for key, fit in some.items():
            assert fit.coefficients.shape == others[key].coefficients.shape
            assert_allclose(fit.coefficients, others[key].coefficients, atol=2e-4)
            assert fit.history[-1] == pytest.approx(others[key].history[-1], rel=1e-8)


def test_bounds_may_hold_a_dead_feature() -> None:
    passes = words(2)
    bounds = Bounds(np.full((1, FEATURES + 1), 0.5), np.full((1, FEATURES + 1), np.inf))
    assert LiveFeatures.of(passes, [Spec(BINOMIAL)]) is not None
    assert LiveFeatures.of(passes, [Spec(BINOMIAL, bounds=bounds)]) is None


def test_inference_has_a_place_for_each_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_features, "MANY_FEATURES", 100)
    spec = Spec(BINOMIAL, regParam=0.05, inference=True)
    some = [its.with_matrix(its.matrix[:, ::10]) for its in folded(2).blocks]
    passes = LocalPasses.of(some, 400)
    assert LiveFeatures.of(passes, [replace(spec, inference=False)]) is not None
    fit = fit_all({0: spec}, passes, 2)[0][0]
    assert fit.information is not None
    assert len(fit.information.covariance()) == fit.coefficients.shape[1] + 1
