"""Params that hold a number for every coefficient: the bounds and the initial model.

Each is checked as far as the sizes are known, so most mistakes are told before any job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.bounds import Bounds
from sparklr.params import LogisticRegressionParams

if TYPE_CHECKING:
    from sparklr.model import LogisticRegressionModel

SIZES = "one row for binomial or one a class for multinomial regression, and one column a feature"


def read_bounds(
    params: LogisticRegressionParams, columns: int | None = None, features: int | None = None
) -> Bounds | None:
    """The bounds for `columns` margins of `features` features (None: not known yet)."""
    given = {
        f"{side}BoundsOn{what}": _values(params, f"{side}BoundsOn{what}", infinite)
        for side, infinite in (("lower", np.inf), ("upper", -np.inf))
        for what in ("Coefficients", "Intercepts")
        if params.isSet(f"{side}BoundsOn{what}")
    }
    if not given:
        return None
    for name, values in given.items():
        if name.endswith("Intercepts"):
            if not params.getFitIntercept():
                raise ValueError(
                    f"{name} is set, but fitIntercept=False. Clear it, or fit an intercept."
                )
            values = given[name] = values.reshape(-1, 1)
        wanted = columns, 1 if name.endswith("Intercepts") else features
        _check_shape(name, values, wanted)
        columns = len(values)
        if name.endswith("Coefficients"):
            features = values.shape[1]
    width = features or 0
    lower = np.full((columns or 1, width + 1), -np.inf)
    upper = -lower
    for name, values in given.items():
        side = lower if name.startswith("lower") else upper
        side[:, slice(width) if name.endswith("Coefficients") else slice(width, None)] = values
    _check_feasible(lower, upper)
    return Bounds(lower, upper)


def _values(params: LogisticRegressionParams, name: str, impossible: float) -> Array:
    values = np.array(params.getOrDefault(name).toArray(), dtype=np.float64)
    if values.size == 0:
        raise ValueError(f"{name} holds no number. Give it {SIZES}, or clear it.")
    bad = values[np.isnan(values) | (values == impossible)]
    if len(bad):
        raise ValueError(f"{name} holds {bad[0]}, which no coefficient can meet. Correct it.")
    return values


def _check_shape(name: str, values: Array, wanted: tuple[int | None, int | None]) -> None:
    if all(size is None or size == has for size, has in zip(wanted, values.shape, strict=True)):
        return
    rows, columns = values.shape
    if name.endswith("Intercepts"):
        raise ValueError(
            f"{name} has {rows} values, but must have {wanted[0]}: one for binomial, or one a "
            "class for multinomial regression."
        )
    text = " x ".join("any number" if size is None else str(size) for size in wanted)
    raise ValueError(f"{name} is {rows} x {columns}, but must be {text}: {SIZES}.")


def _check_feasible(lower: Array, upper: Array) -> None:
    """Refuse bounds that cross."""
    bad = np.argwhere(lower > upper)
    if len(bad):
        row, at = bad[0]
        what = f"Coefficients[{row}, {at}]" if at < lower.shape[1] - 1 else f"Intercepts[{row}]"
        raise ValueError(
            f"lowerBoundsOn{what}={lower[row, at]:g} is above "
            f"upperBoundsOn{what}={upper[row, at]:g}. Lower one or raise the other."
        )


def read_initial(
    model: LogisticRegressionModel,
    params: LogisticRegressionParams,
    columns: int | None = None,
    features: int | None = None,
) -> tuple[Array, Array]:
    """Coefficients (C, p) and intercepts (C,) of the initial model, if they fit the sizes."""
    coefficients, intercepts = model._numbers
    has = coefficients.shape
    if (columns or has[0]) != has[0] or (features or has[1]) != has[1]:
        raise ValueError(
            f"initialModel has coefficients of {has[0]} x {has[1]}, but this fit has "
            f"{columns or has[0]} x {features or has[1]}: {SIZES}. Clear initialModel, or give "
            "one of the same family, classes and features."
        )
    if not (np.isfinite(coefficients).all() and np.isfinite(intercepts).all()):
        raise ValueError(
            "initialModel has a coefficient or intercept that is not finite (as after a fit on "
            "one label alone), and no fit can start there. Clear initialModel."
        )
    if not params.getFitIntercept() and intercepts.any():
        raise ValueError(
            "initialModel has an intercept, but fitIntercept=False. Fit an intercept, or give a "
            "model without one."
        )
    return coefficients, intercepts
