"""Posteriors of small sets against long chains: means within 0.02 sd, deviations within 7%.

Where features outnumber rows, 0.1 sd and 12%. The references are from `make_references`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sparklr.arrays import Array
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.posterior.of_information import PosteriorKind
from tests.posterior.long_chains import gibbs, own_chains
from tests.posterior.sets import BINARY, SETS, Rows, posterior_of, three_classes

REFERENCES = json.loads((Path(__file__).parent / "references.json").read_text(encoding="utf-8"))
LIMITS = {"wide": (0.1, 0.12)}
# Readings: few where rows are many, 12 on hard small sets, 30 where features outnumber rows.
MOST = {"wide": 30, "separable": 12, "rare": 12, "many_features": 12}


def errors_of(name: str, found: PosteriorNumbers) -> tuple[float, float]:
    """The largest error of a mean, in deviations, and the largest share of a deviation."""
    mean, deviation = (np.array(REFERENCES[name][its]) for its in ("mean", "deviation"))
    fitted = deviation > 0
    away = np.abs(found.mean - mean)[fitted] / deviation[fitted]
    return float(away.max()), float(np.abs(found.deviations[fitted] / deviation[fitted] - 1).max())


def good(name: str, found: PosteriorNumbers) -> bool:
    mean, deviation = LIMITS.get(name, (0.02, 0.07))
    errors = errors_of(name, found)
    return errors[0] <= mean and errors[1] <= deviation


@pytest.mark.parametrize("name", BINARY)
def test_the_best_gaussian_has_the_means_and_deviations_of_long_chains(name: str) -> None:
    found = posterior_of(BINARY[name](), "gaussian")
    assert good(name, found), errors_of(name, found)
    assert found.converged
    assert found.readings <= MOST.get(name, 4)


@pytest.mark.deep
def test_with_many_rows_few_readings_find_the_best_gaussian() -> None:
    """100,000 rows of 50 features, of which 2% are positive."""
    random = np.random.default_rng(2)
    matrix = random.normal(size=(100_000, 50))
    margins = matrix @ random.normal(size=50) / 5 - 5
    labels = (margins > random.logistic(size=100_000)).astype(float)
    found = posterior_of(Rows(matrix, labels, reg=10.0), "gaussian")
    assert found.converged
    assert found.readings <= 4


def test_laplaces_fails_on_at_least_half_of_them() -> None:
    """Or the test above would be too weak."""
    failed = [its for its in BINARY if not good(its, posterior_of(BINARY[its](), "laplace"))]
    assert len(failed) >= len(BINARY) / 2, failed


@pytest.mark.parametrize("name", BINARY)
def test_the_first_reading_tells_the_error_of_laplaces_means(name: str) -> None:
    found = posterior_of(BINARY[name](), "laplace")
    assert found.readings == 1
    assert found.shift_from_mode is not None
    assert found.shift_from_mode == pytest.approx(errors_of(name, found)[0], rel=0.35)


def test_draws_tell_about_the_error_of_laplaces_means_for_several_classes() -> None:
    found = posterior_of(SETS["three_classes"](), "laplace")
    assert found.readings == 1
    assert found.shift_from_mode == pytest.approx(errors_of("three_classes", found)[0], rel=0.45)
    rows = three_classes()
    often = replace(
        rows, matrix=np.tile(rows.matrix, (49, 1)), labels=np.tile(rows.labels, 49), reg=49.0
    )
    many = posterior_of(often, "laplace")  # where V is 49 times as large, and its draws a seventh
    assert many.shift_from_mode is not None
    assert found.shift_from_mode is not None
    assert many.shift_from_mode == pytest.approx(found.shift_from_mode / 7, rel=0.15)


@pytest.mark.parametrize("name", ["plain", "correlated", "rare"])
def test_fishers_is_near_the_posterior_in_the_metric_of_the_hessian(name: str) -> None:
    mean, deviation = errors_of(name, posterior_of(BINARY[name](), "fisher"))
    assert mean < 0.03
    assert deviation < 0.07


@pytest.mark.parametrize(
    ("name", "draws"),
    [
        ("three_classes", 2048),
        ("plain", 1024),
        pytest.param("separable", 8192, marks=pytest.mark.deep),
        pytest.param("rare", 8192, marks=pytest.mark.deep),
        pytest.param("wide", 16384, marks=pytest.mark.deep),
    ],
)
def test_draws_have_the_moments_of_long_chains(name: str, draws: int) -> None:
    found = posterior_of(SETS[name](), "sampled", draws=draws)
    assert found.draws is not None
    assert len(found.draws) >= draws
    assert found.error is not None
    mean, deviation = errors_of(name, found)
    assert mean < 5 * found.error + 0.01
    assert deviation < LIMITS.get(name, (0.02, 0.07))[1]
    assert found.converged
    of_draws = np.abs(found.draws.mean(axis=0) - found.mean) / np.maximum(found.deviations, 1e-9)
    assert np.nanmax(of_draws) < 6 / np.sqrt(len(found.draws)) + 0.1


def test_references_are_confirmed_by_gibbs_which_has_nothing_in_common_with_them() -> None:
    for name in BINARY:
        ours, theirs = REFERENCES[name], REFERENCES[name]["gibbs"]
        assert_agree(name, *(its[key] for key in KEYS for its in (ours, theirs)))


KEYS = ("mean", "deviation", "error")


def assert_agree(
    name: str, mean: Array, other: Array, deviation: Array, its: Array, error: Array, more: Array
) -> None:
    fitted = np.array(deviation) > 0
    size = np.array(deviation)[fitted]
    apart = (np.array(mean) - other)[fitted]
    chance = np.hypot(error, more)[fitted]
    assert np.abs(apart / chance).max() < 5, name
    assert np.abs(np.array(its)[fitted] / size - 1).max() < 0.06, name


@pytest.mark.deep
@pytest.mark.parametrize("name", ["plain", "weighted"])
def test_short_runs_of_both_samplers_agree(name: str) -> None:
    rows = SETS[name]()
    ours = own_chains(rows, chains=64, steps=60, seed=21, warm=40)
    theirs = gibbs(rows, steps=3000, seed=22)
    assert_agree(name, *(its for pair in zip(ours, theirs, strict=True) for its in pair))


@pytest.mark.parametrize("kind", ["gaussian", "sampled"])
def test_a_posterior_repeats_to_the_bit(kind: PosteriorKind) -> None:
    first, second = (posterior_of(SETS["plain"](), kind, draws=64) for _ in range(2))
    assert np.array_equal(first.mean, second.mean)
    assert np.array_equal(first.factor, second.factor)
    if first.draws is not None and second.draws is not None:
        assert np.array_equal(first.draws, second.draws)
