"""Models and rows that are drawn, for exports to be compared with the model itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sparklr import LogisticRegressionModel
from sparklr.arrays import Array
from tests.made_models import fitted_model


@dataclass(frozen=True, eq=False)
class Drawn:
    """A model, rows of its columns, and how its features are stored."""

    model: LogisticRegressionModel
    rows: pd.DataFrame  # with a column `offset`, if the model has offsets

    @property
    def features(self) -> Array:
        return np.asarray(self.rows[self.model.featureNames])

    @property
    def whole(self) -> Array:
        """Which rows have no missing value."""
        return np.asarray(~self.rows.isna().any(axis=1))

    def expected(self) -> dict[str, Array]:
        """What the model gives for the rows without missing values, by the name of the output."""
        rows = self.rows[self.whole]
        raw = self.model.predictRaw(rows)
        return {
            "margin": raw if self.model.numClasses > 2 else raw[:, 1:],
            "probability": self.model.predictProbability(rows),
            "prediction": self.model.predict(rows),
        }


def drawn(seed: int, margins: int, *, width: int = 5, used: int | None = None,
          thresholds: bool = False, offset: bool = False,
          missing: float = 0.0) -> Drawn:  # fmt: skip
    """Return a model of `margins` rows of coefficients, of which `used` count, and 60 rows.

    Some rows have margins of thousands, where exponentials overflow.
    """
    random = np.random.default_rng(seed)
    names = [f'x "{at}`' if at == 0 else f"x{at}" for at in range(width)]
    coefficients = np.zeros((margins, width))
    for row in coefficients:
        its = random.choice(width, size=width if used is None else used, replace=False)
        row[its] = random.normal(size=len(its))
    params: dict[str, Any] = {"featuresCols": names}
    if thresholds and margins == 1:
        params["threshold"] = float(random.uniform(0.05, 0.95))
    elif thresholds:
        params["thresholds"] = random.uniform(0.1, 0.9, size=margins).tolist()
    if offset:
        params["offsetCol"] = "offset"
    model = fitted_model(coefficients, random.normal(size=margins), names=names, **params)
    rows = pd.DataFrame(random.normal(size=(60, width)), columns=names)
    rows.iloc[:10] *= 1000.0
    if offset:
        rows["offset"] = random.normal(size=60)
    return Drawn(model, rows.mask(random.uniform(size=rows.shape) < missing))


# Each shows another part; the first two are in every run.
CASES: dict[str, dict[str, Any]] = {
    "two classes": {"seed": 1, "margins": 1, "thresholds": True, "missing": 0.1},
    "three classes": {"seed": 2, "margins": 3, "thresholds": True, "missing": 0.1},
    "no threshold": {"seed": 3, "margins": 4, "missing": 0.1},
    "offset": {"seed": 4, "margins": 1, "offset": True, "missing": 0.1},
    "sparse": {"seed": 5, "margins": 1, "width": 300, "used": 4, "thresholds": True},
    "sparse, three classes": {"seed": 6, "margins": 3, "width": 300, "used": 4, "thresholds": True},
}
