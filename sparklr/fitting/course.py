"""What stochastic gradient descent needs to know of an objective, and its readings of the rows."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.rounds import Report
from sparklr.fitting.spec import Steps
from sparklr.objective.ground import Ground
from sparklr.objective.walks import Base, Pace
from sparklr.passes.protocol import Passes
from sparklr.passes.walks import Survey, Walks
from sparklr.solvers.drive import drive
from sparklr.solvers.sgd import RATES, Descent, Ended, Epoch, Look, Seen, rate_grid

# About so many arrays of all points are in memory at once.
ARRAYS = 4


@dataclass(frozen=True, eq=False)
class Course:
    """An objective in the coordinates of walks: mean loss + sum_j l2_j g_j^2 / 2.

    weight : of all rows
    l2 : (q,)
    per_scaled : (q,), what makes a slope one per unit of a standardised feature
    rate_unit : what rates are multiplied by
    epochs : how many there are at most, for the schedule
    """

    ground: Ground
    steps: Steps
    weight: float
    l2: Array
    per_scaled: Array
    adagrad: bool
    rate_unit: float
    epochs: int

    def penalties(self, points: Array) -> Array:
        """Return the penalties (K,) of points g (q, K C)."""
        with np.errstate(all="ignore"):  # a rate may have gone too far
            each = self.l2 @ points**2 / 2
        return np.asarray(each.reshape(-1, self.ground.margins).sum(axis=1))

    def residuals(self, gradient: Array) -> Array:
        """Return the largest entries (K,) of gradients (q, K C)."""
        each = np.abs(gradient * self.per_scaled[:, None]).max(axis=0, initial=0)
        return np.asarray(each.reshape(-1, self.ground.margins).max(axis=1))

    def centred(self, points: Array) -> Array:
        """Return the same models with mean zero over their classes, which only lowers penalties."""
        margins = self.ground.margins
        if margins == 1:
            return points
        each = points.reshape(len(points), -1, margins)
        centred: Array = each - each.mean(axis=2, keepdims=True)
        return centred.reshape(points.shape)


def rates_within(budget: int, size: int, adagrad: bool) -> Array:
    """Return the rates to compare, fewer if all of their points of this size are too many bytes."""
    return rate_grid(adagrad, int(np.clip(budget // (8 * ARRAYS * size), 2, RATES)))


class Answers:
    """Answers the questions of a descent by readings of the rows."""

    def __init__(self, course: Course, passes: Passes, report: Report | None = None) -> None:
        self._course, self._passes, self._report = course, passes, report
        self.readings = 0

    def run(self, descending: Generator[Look | Epoch, Seen | Ended, Descent]) -> Descent:
        """Run a descent to its end."""
        return drive(descending, self._answer)

    def _answer(self, question: Look | Epoch) -> Seen | Ended:
        return self.look(question) if isinstance(question, Look) else self.walk(question)

    def look(self, look: Look) -> Seen:
        """Read the objective at some points."""
        course = self._course
        ground = replace(course.ground, held_out=look.held_out)
        survey = Survey(ground, look.points, course.weight)
        found = survey.split(self._read(survey))
        gradient = found.gradient + course.l2[:, None] * look.points
        values, residuals = found.losses + course.penalties(look.points), course.residuals(gradient)
        if self._report is not None:
            best = int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
            self._report(self.readings, 1, float(values[best]), float(residuals[best]))
        return Seen(values, found.held, gradient, residuals)

    def walk(self, epoch: Epoch) -> Ended:
        """Read where the walks of an epoch end."""
        course, steps = self._course, self._course.steps
        pace = Pace(
            rates=epoch.rates * course.rate_unit,
            schedule=steps.schedule,
            epoch=epoch.number,
            epochs=course.epochs,
            batch=steps.batchSize,
            momentum=steps.momentum,
            adagrad=course.adagrad,
            corrected=epoch.corrected,
            averaged=steps.averaging,
        )
        ground = replace(course.ground, held_out=epoch.held_out)
        base = Base(epoch.points, epoch.gradient, epoch.squares, course.l2)
        walks = Walks(ground, pace, base, course.weight)
        points, squares = walks.split(self._read(walks))
        return Ended(course.centred(points), squares)

    def _read(self, reading: Survey | Walks) -> Array:
        self.readings += 1
        return self._passes.read(reading)
