"""Params that hold a number for every coefficient: the bounds and the initial model.

Each Param is checked as far as the sizes are known, so most mistakes are found before any job.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.bounds import Bounds
from sparklr.params import LogisticRegressionParams
from sparklr.spark.errors import InvalidValueError

BOUNDS = (
    "lowerBoundsOnCoefficients",
    "upperBoundsOnCoefficients",
    "lowerBoundsOnIntercepts",
    "upperBoundsOnIntercepts",
)
SIZES = "(1, features) for binomial or (classes, features) for multinomial regression"


@dataclass(frozen=True, eq=False)
class _Given:
    """The bounds that are set: coefficients (C, p), and intercepts as one column (C, 1)."""

    lower_coefficients: Array | None
    lower_intercepts: Array | None
    upper_coefficients: Array | None
    upper_intercepts: Array | None

    @staticmethod
    def of(params: LogisticRegressionParams) -> _Given:
        """Read the bounds from the Params.

        A lower bound of inf or an upper bound of -inf would exclude every number: it is refused.
        """
        return _Given(
            _coefficients(params, "lowerBoundsOnCoefficients", np.inf),
            _intercepts(params, "lowerBoundsOnIntercepts", np.inf),
            _coefficients(params, "upperBoundsOnCoefficients", -np.inf),
            _intercepts(params, "upperBoundsOnIntercepts", -np.inf),
        )

    def margins(self) -> int | None:
        """Return the number of margins C of the first bound; None if no bound is set."""
        every = (
            self.lower_coefficients,
            self.lower_intercepts,
            self.upper_coefficients,
            self.upper_intercepts,
        )
        return next((len(values) for values in every if values is not None), None)

    def features(self) -> int | None:
        """Return the number of features p of the first bound; None if coefficients have none."""
        every = (self.lower_coefficients, self.upper_coefficients)
        return next((values.shape[1] for values in every if values is not None), None)

    def check(self, margins: int, features: int | None) -> None:
        """Refuse bounds of any other shape."""
        _check_matrix("lowerBoundsOnCoefficients", self.lower_coefficients, margins, features)
        _check_vector("lowerBoundsOnIntercepts", self.lower_intercepts, margins)
        _check_matrix("upperBoundsOnCoefficients", self.upper_coefficients, margins, features)
        _check_vector("upperBoundsOnIntercepts", self.upper_intercepts, margins)


def read_bounds(
    params: LogisticRegressionParams, margins: int | None = None, features: int | None = None
) -> Bounds | None:
    """Return the bounds on `margins` rows of `features` coefficients and an intercept.

    None if no bound is set. A size that is not known yet (None) is taken from the first bound.
    """
    given = _Given.of(params)
    found = given.margins()
    if found is None:
        return None
    margins = found if margins is None else margins
    features = given.features() if features is None else features
    given.check(margins, features)
    lower = _joined(given.lower_coefficients, given.lower_intercepts, margins, features, -np.inf)
    upper = _joined(given.upper_coefficients, given.upper_intercepts, margins, features, np.inf)
    _check_feasible(lower, upper)
    return Bounds(lower, upper)


def _joined(
    coefficients: Array | None,
    intercepts: Array | None,
    margins: int,
    features: int | None,
    unbounded: float,
) -> Array:
    """Return one side of the bounds, (C, p + 1), intercepts last; `unbounded` where not set."""
    width = features or 0
    side = np.full((margins, width + 1), unbounded)
    if coefficients is not None:
        side[:, :width] = coefficients
    if intercepts is not None:
        side[:, width:] = intercepts
    return side


def _coefficients(params: LogisticRegressionParams, name: str, impossible: float) -> Array | None:
    return _values(params, name, impossible) if params.isSet(name) else None


def _intercepts(params: LogisticRegressionParams, name: str, impossible: float) -> Array | None:
    if not params.isSet(name):
        return None
    values = _values(params, name, impossible)
    if not params.getFitIntercept():
        raise InvalidValueError(
            f"{name} is set, but fitIntercept=False. Clear it, or fit an intercept."
        )
    return values.reshape(-1, 1)


def _values(params: LogisticRegressionParams, name: str, impossible: float) -> Array:
    values = np.array(params.getOrDefault(name).toArray(), dtype=np.float64)
    if values.size == 0:
        raise InvalidValueError(
            f"{name} is empty. It must have shape {SIZES}. Set it, or clear it."
        )
    bad = values[np.isnan(values) | (values == impossible)]
    if len(bad):
        raise InvalidValueError(
            f"{name} holds {bad[0]}, and no number satisfies this bound. Correct it."
        )
    return values


def _check_matrix(name: str, values: Array | None, margins: int, features: int | None) -> None:
    if values is None:
        return
    rows, columns = values.shape
    if rows != margins or (features is not None and columns != features):
        width = "any number" if features is None else features
        raise InvalidValueError(
            f"{name} is {rows} x {columns}, but must be {margins} x {width}: its shape is {SIZES}."
        )


def _check_vector(name: str, values: Array | None, margins: int) -> None:
    if values is not None and len(values) != margins:
        raise InvalidValueError(
            f"{name} has {len(values)} values, but must have {margins}: one for binomial, or one "
            "per class for multinomial regression."
        )


def _check_feasible(lower: Array, upper: Array) -> None:
    """Refuse bounds that cross."""
    bad = np.argwhere(lower > upper)
    if len(bad):
        row, at = bad[0]
        what = f"Coefficients[{row}, {at}]" if at < lower.shape[1] - 1 else f"Intercepts[{row}]"
        raise InvalidValueError(
            f"lowerBoundsOn{what}={lower[row, at]:g} is above "
            f"upperBoundsOn{what}={upper[row, at]:g}. Reduce the lower bound or raise the upper."
        )


def check_initial(
    initial: tuple[Array, Array],
    params: LogisticRegressionParams,
    margins: int | None = None,
    features: int | None = None,
) -> None:
    """Refuse an initial model whose sizes are wrong, as far as the right sizes are known."""
    coefficients, intercepts = initial
    has = coefficients.shape
    if (margins or has[0]) != has[0] or (features or has[1]) != has[1]:
        raise InvalidValueError(
            f"initialModel has coefficients of {has[0]} x {has[1]}, but this fit has "
            f"{margins or has[0]} x {features or has[1]}: the shape is {SIZES}. Clear "
            "initialModel, or give a model of the same family, classes and features."
        )
    if not (np.isfinite(coefficients).all() and np.isfinite(intercepts).all()):
        raise InvalidValueError(
            "initialModel has a coefficient or intercept that is not finite (a fit on rows of one "
            "label gives such an intercept). A fit cannot start there. Clear initialModel."
        )
    if not params.getFitIntercept() and intercepts.any():
        raise InvalidValueError(
            "initialModel has an intercept, but fitIntercept=False. Fit an intercept, or give a "
            "model without one."
        )
