"""Searches that several tests look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from sparklr import LogisticRegressionEstimator
from sparklr.tuning import CrossValidator
from tests.search.searches import TIGHT, area, maps_of, packings, validator_of


@dataclass(frozen=True, eq=False)
class Search:
    """A validator, what it found, and how many packings that took."""

    estimator: Any
    maps: list[dict[Any, Any]]
    validator: Any
    found: Any
    packed: int


@pytest.fixture(scope="session")
def kept(two: Any) -> Search:
    """A search that keeps its models."""
    estimator = LogisticRegressionEstimator(**TIGHT)
    settings = [{"regParam": 0.2, "elasticNetParam": 0.5}, {"regParam": 0.01, "threshold": 0.3}]
    maps = maps_of(estimator, settings)
    validator = validator_of(CrossValidator, estimator, maps, area(), collectSubModels=True)
    with packings() as packed:
        found = validator.fit(two)
    return Search(estimator, maps, validator, found, len(packed))
