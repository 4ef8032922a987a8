"""The path of gradient descent beside the path of ridge solutions, from one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import DataFrame

from sparklr.arrays import Array
from sparklr.display import plots
from sparklr.display.progress import silent
from sparklr.display.tables import Page, Table, number
from sparklr.estimator import LogisticRegressionEstimator, request_of
from sparklr.fitting.bounds_and_start import BOUNDS
from sparklr.fitting.from_params import spec_of
from sparklr.fitting.packed_rows import PackedRows
from sparklr.fitting.plan import fit_all
from sparklr.fitting.problem import Problem
from sparklr.fitting.rounds import answer_round
from sparklr.fitting.shared import RowFacts, SharedFits, open_shared_fits
from sparklr.fitting.spec import Spec
from sparklr.objective.moments import merge_all
from sparklr.passes.protocol import read_round
from sparklr.rows.columns import nameless
from sparklr.solvers import Answer, Query
from sparklr.solvers.drive import drive
from sparklr.solvers.flow import BOUND, Waypoint, gradient_flow
from sparklr.spark.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SURE = 1e-9  # the tolerance of the ridge solutions
SLACK = 1e-6  # of the bound, for rounding and that tolerance
SHOWN = 12  # lines of a printed path


@dataclass(frozen=True, eq=False)
class GradientPath:
    """Coefficients of gradient descent at times t, and of ridge with regParam = 1 / t.

    `print` shows a table; `plot` and `plot_bound` draw.

    Attributes
    ----------
    times : array (m,)
        The times t: sums of the lengths of steps.
    steps : array (m,)
        The numbers of steps until then.
    coefficients : array (m, p)
        The coefficients of gradient descent, for scaled features.
    ridge : array (m, p)
        The coefficients of ridge, for scaled features.
    heldOutLoss : array (m,), optional
        The mean loss of the held-out rows by gradient descent, if there are such rows.
    ridgeHeldOutLoss : array (m,), optional
        The same by ridge.
    names : tuple of str
        The names of the features.
    readings : int
        The readings of the rows for all points of gradient descent.
    ridgeReadings : int
        The readings of the rows for all points of ridge.
    """

    times: Array
    steps: Array
    coefficients: Array
    ridge: Array
    heldOutLoss: Array | None
    ridgeHeldOutLoss: Array | None
    names: tuple[str, ...]
    readings: int
    ridgeReadings: int

    @property
    def ratios(self) -> Array:
        """The distance from gradient descent to ridge at each time, over the size of the former."""
        sizes = np.linalg.norm(self.coefficients, axis=1)
        apart = np.linalg.norm(self.coefficients - self.ridge, axis=1)
        return np.asarray(apart / np.maximum(sizes, np.finfo(np.float64).tiny))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the coefficients over t = 1 / regParam: gradient descent dashed, ridge solid.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.

        Returns
        -------
        matplotlib Axes
            The axes with two lines per feature.
        """
        ax = plots.axes(ax)
        for at, (ours, theirs) in enumerate(zip(self.coefficients.T, self.ridge.T, strict=True)):
            words = ("ridge", "gradient descent") if at == 0 else (None, None)
            ax.plot(self.times, theirs, color=f"C{at % 10}", linewidth=1.2, label=words[0])
            ax.plot(self.times, ours, "--", color=f"C{at % 10}", linewidth=1.2, label=words[1])
        ax.axhline(0, linewidth=1, color="gray")
        ax.set(xscale="log", xlabel="t = 1 / regParam", ylabel="coefficient per standard deviation")
        ax.legend(fontsize="small")
        return ax

    def plot_loss(self, ax: Axes | None = None) -> Axes:
        """Draw the loss of the held-out rows over t = 1 / regParam, with both minima marked.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.

        Returns
        -------
        matplotlib Axes
            The axes with both lines.
        """
        if self.heldOutLoss is None or self.ridgeHeldOutLoss is None:
            raise InvalidValueError(
                "plot_loss needs held-out rows: make the path with an estimator that has "
                "validationIndicatorCol."
            )
        ax = plots.axes(ax)
        both = {"ridge": (self.ridgeHeldOutLoss, "-"), "gradient descent": (self.heldOutLoss, "--")}
        for at, (name, (losses, line)) in enumerate(both.items()):
            best = int(np.argmin(losses))
            ax.plot(self.times, losses, line, color=f"C{at}", label=name)
            ax.plot(self.times[best], losses[best], "o", color=f"C{at}")
        ax.set(xscale="log", xlabel="t = 1 / regParam", ylabel="mean loss of the held-out rows")
        ax.legend(fontsize="small")
        return ax

    def plot_bound(self, ax: Axes | None = None) -> Axes:
        """Draw the distance between the paths over t, and what is proved of it.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.

        Returns
        -------
        matplotlib Axes
            The axes with the ratio and its bound.
        """
        ax = plots.axes(ax)
        ax.plot(self.times, self.ratios, "o-", markersize=3, label="distance / size")
        ax.axhline(BOUND, linestyle="--", color="C3", label="proved: at most 0.7071")
        ax.set(xscale="log", xlabel="t = 1 / regParam", ylim=(0, 0.75))
        ax.set(ylabel="distance to ridge / size of the coefficients")
        ax.legend(fontsize="small")
        return ax

    def __str__(self) -> str:
        return self._page().text()

    def _repr_html_(self) -> str:
        return self._page().html()

    def _page(self) -> Page:
        held = self.heldOutLoss, self.ridgeHeldOutLoss
        places = np.unique(np.linspace(0, len(self.times) - 1, SHOWN).astype(int))
        header = ["t", "regParam", "steps", "|gd - ridge| / |gd|"]
        columns = [self.times, 1 / self.times, self.steps, self.ratios]
        facts = [
            ("points", f"{len(self.times)}, of {len(self.names)} coefficients"),
            ("readings", f"{self.readings:,} by gradient descent, {self.ridgeReadings:,} by ridge"),
            (
                "distance",
                f"at most {self.ratios.max():.4f} of the size of the coefficients; "
                f"proved: at most {BOUND:.4f}",
            ),
        ]
        for name, losses in zip(("gd", "ridge"), held, strict=True):
            if losses is not None:
                best = int(np.argmin(losses))
                header.append(f"held-out loss, {name}")
                columns.append(losses)
                words = f"{number(losses[best])} at t = {self.times[best]:.3g}"
                facts.append((f"best loss, {name}", words))
        rows = tuple(
            tuple(
                f"{its[at]:,d}" if its is self.steps else number(float(its[at])) for its in columns
            )
            for at in places
        )
        return Page(
            "Gradient descent and ridge", tuple(facts), (Table("The path", tuple(header), rows),)
        )


def gradient_path(
    dataset: DataFrame | PackedRows,
    estimator: LogisticRegressionEstimator,
    *,
    most: float = 1_000.0,
    points: int = 30,
) -> GradientPath:
    """Return the path of gradient descent from zero, beside ridge with regParam = 1 / t.

    Gradient descent without a penalty is at the time t, the sum of the lengths of its steps, near
    the ridge solution of regParam = 1 / t: their distance is at most 1 / sqrt(2) of its size, for
    all rows. Each step is so short that this is proved of it. The intercept is always at its best
    value. This is for understanding, not a faster way to choose regParam: a path takes tens to
    hundreds of readings, and a grid of penalties about ten.

    Parameters
    ----------
    dataset : DataFrame or PackedRows
        The rows to fit.
    estimator : LogisticRegressionEstimator
        Its columns, weights, fitIntercept and validationIndicatorCol are used. Two classes,
        standardization=True, no L1 term and no bounds.
    most : float
        The last time; the first is a thousandth of it.
    points : int
        The number of times, evenly spaced on the log scale.

    Returns
    -------
    GradientPath
        Both paths; it prints and plots.

    Examples
    --------
    >>> rows = [(float(i % 7 > 3), i % 7 + 0.1 * i, float(i % 3)) for i in range(60)]
    >>> frame = spark.createDataFrame(rows, ["label", "age", "dose"])
    >>> estimator = LogisticRegressionEstimator(featuresCols=["age", "dose"])
    >>> path = gradient_path(frame, estimator, most=100.0, points=5)
    >>> bool(path.ratios.max() < 0.7071)
    True
    """
    _check(estimator, most, points)
    requests, unseen = {0: request_of(estimator)}, silent()
    with open_shared_fits(requests, dataset, stage=unseen.stage, watch=unseen.round) as shared:
        facts = shared.facts(0)
        shared.check_held(facts.classes, None)
        spec = spec_of(shared.requests[0], facts.classes, facts.moments.features)
        spec = replace(spec, regParam=0.0, solver="auto", patience=None, initial=None)
        return _path(shared, spec, facts, np.geomspace(1e-3 * most, most, points))


def _path(shared: SharedFits, spec: Spec, facts: RowFacts, times: Array) -> GradientPath:
    if spec.family.per_class:
        raise InvalidValueError(
            f"gradient_path is for two classes, but the model is {spec.family}."
        )
    held = merge_all(shared.passes.held.values()) if shared.passes.held else None
    problem = Problem.of(spec, facts.moments, facts.classes, centred=True, held=held)
    walked, readings = _walk(shared, problem, times)
    specs = {at: replace(spec, regParam=1 / its.time, tol=SURE) for at, its in enumerate(walked)}
    fits, ridge_readings = fit_all(specs, shared.passes, facts.classes, budget=shared.budget)
    ridge = [problem.point_of(its.coefficients, its.intercepts) for its in fits.values()]
    losses = None if held is None else _held_losses(shared, problem, ridge)
    ours = [its.answer.held for its in walked]
    features = problem.scaling.active
    names = facts.names or [nameless("features", at) for at in range(facts.moments.features)]
    width = len(features)
    path = GradientPath(
        np.array([its.time for its in walked]),
        np.array([its.steps for its in walked]),
        np.array([its.point[:width] for its in walked]),
        np.array([its[:width] for its in ridge]),
        None if held is None else np.array(ours, dtype=float),
        losses,
        tuple(names[at] for at in features),
        readings,
        ridge_readings,
    )
    check_bound(path)
    return path


def check_bound(path: GradientPath) -> None:
    """Refuse a path whose distance from ridge exceeds what is proved: one of them is wrong."""
    sizes = np.linalg.norm(path.coefficients, axis=1)
    beyond = (path.ratios - BOUND) * sizes > SLACK * (1 + sizes)
    if beyond.any():
        worst = int(np.argmax(beyond))
        raise ArithmeticError(
            f"At t = {path.times[worst]:.3g} gradient descent and ridge are apart by "
            f"{path.ratios[worst]:.4f} of the coefficients' size, where at most {BOUND:.4f} is "
            "proved: one of the two has lost its digits. Rescale features whose values differ by "
            "many powers of ten, or set most to a smaller value."
        )


def _walk(shared: SharedFits, problem: Problem, times: Array) -> tuple[list[Waypoint], int]:
    """Return the points of the path at these times, and the number of readings."""
    walk = gradient_flow(
        problem.start(),
        [float(its) for its in times],
        1 / problem.largest_curvature,
        intercept=problem.spec.fitIntercept,
    )
    readings = 0

    def answer(query: Query) -> Answer:
        nonlocal readings
        answers, count = answer_round({0: query}, {0: problem}, shared.passes, shared.budget)
        readings += count
        return answers[0]

    return drive(walk, answer), readings


def _held_losses(shared: SharedFits, problem: Problem, points: Sequence[Array]) -> Array:
    probes = [problem.held_probe(Query(point, 0)) for point in points]
    sums, _ = read_round(shared.passes, [its for its in probes if its is not None], shared.budget)
    return np.array([float(its.value[0]) for its in sums]) / problem.held_weight


def _check(estimator: LogisticRegressionEstimator, most: float, points: int) -> None:
    if not isinstance(estimator, LogisticRegressionEstimator):
        raise InvalidTypeError(
            f"gradient_path takes a LogisticRegressionEstimator, but got a "
            f"{type(estimator).__name__}. Apply the stages before it to the data set first."
        )
    if points < 1 or not 0 < most < np.inf:
        raise InvalidValueError(
            f"most={most}, points={points}: most must be above 0, and points 1 or more."
        )
    if not estimator.getStandardization():
        raise InvalidValueError(
            "gradient_path needs standardization=True: gradient descent goes in the coordinates of "
            "scaled features, and so must the penalty."
        )
    for name in _UNFIT:
        if estimator.isSet(name) and (
            name in BOUNDS or estimator.getOrDefault(name) != _UNFIT[name]
        ):
            raise InvalidValueError(f"gradient_path is for L2 penalties alone. Clear {name}.")


# The Params that have no place here, with the values at which they do nothing.
_UNFIT: Mapping[str, object] = {
    **dict.fromkeys(BOUNDS),
    "elasticNetParam": 0.0,
    "biasReduction": "none",
}
