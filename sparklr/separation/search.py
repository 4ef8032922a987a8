"""Whether the rows are separated, so that the likelihood has no maximum.

Each row has comparisons a (`sides`): how a direction d changes the margin of its label beside those
of the other labels. The rows are separated if a . d >= 0 for all comparisons and a . d > 0 for
some: then the likelihood rises along d for ever (Albert and Anderson 1984).

**Proof of absence.** At any point let g be the gradient of the log likelihood, H the Hessian of its
negative, and H D = g, a Newton step. If D raises no comparison by 1 or more, the rows are not
separated: the estimate exists, and is unique up to directions that change no margin.

For one margin, let p_i be the probability of a row's own label and w_i its weight. Then

    g = sum_i w_i (1 - p_i) a_i    and    H = sum_i w_i (1 - p_i) p_i a_i a_i'
    so  0 = g - H D = sum_i w_i (1 - p_i) (1 - p_i a_i . D) a_i

If p_i a_i . D < 1 for all i, this is a sum of all a_i with factors above zero. Let a_i . d >= 0 for
all i: then each a_i . d = 0, because their sum with these factors is zero. So no d separates the
rows. With classes the factor of a_ik is w_i p_ik (1 - (ubar_i - u_ik)), where u_ik = D_k . x_i and
ubar_i is its mean by p_i, so that ubar_i - u_ik < 1 is enough, for all k other than the label.

Hence separated rows have a step of 1 or more at *every* point. `absence_bound` bounds the step by
the least and largest values of the features, without a pass: below 1, the rows are not separated.
The proof needs H D = g, so the caller checks that H was not singular, except in directions that
change no margin.

**Search** (`find_separation`). A linear programme on a few rows gives the cone of directions that
lower none of these (`cone`). A reading of all rows returns those that one of these directions would
lower, or that it leaves alone although they are not known to be tight. They are added, until there
are none: the last reading verifies the direction on all rows. The sample is read first, which costs
nothing. If some rows have no direction at all, neither have all rows, and no reading is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sparklr.arrays import Array, BoolArray, IntArray
from sparklr.objective.families import Family
from sparklr.objective.moments import Moments
from sparklr.passes.protocol import Passes
from sparklr.rows.blocks import Block, stack_blocks
from sparklr.separation.cone import DUST, Cone, UndecidedError, cone_of
from sparklr.separation.frame import Frame, spread_rows, with_weight
from sparklr.separation.sentences import along, separation_sentence
from sparklr.separation.sides import Sides, SidesOfRows

Kind: TypeAlias = Literal["none", "quasi-complete", "complete", "unknown"]

# Bounds on the search: the memory of a programme, and the time of all, about a minute.
MOST_VALUES = 2**22  # stored values of the comparisons in a programme
MOST_DENSE = 2**25  # their number times the number of coordinates
MOST_WORK = 2**31  # stored values times coordinates, of all programmes: 2**29 take ten seconds
MOST_COORDINATES = 2_000
MOST_READINGS = 12
# The first programme has this many rows per coordinate of a margin, and at least so many.
ROWS_A_COORDINATE = 4
LEAST_ROWS = 200
# About so many rows are added after a reading.
ADDED_ROWS = 400
# Directions beside d in a reading: so many numbers, but at least and at most so many directions.
BASIS_NUMBERS = 2**21
LEAST_DIRECTIONS, MOST_DIRECTIONS = 8, 256
# A coefficient this close to a fraction with a small denominator is that fraction, if it serves.
NEAR_FRACTION = 1e-7
LARGEST_DENOMINATOR = 12
# Moves of two classes that differ by less than this share of the largest are the same.
ALIKE = 1e-7
# The allowance for rounding in a step. On overlapping rows steps shrink quadratically below it.
ALLOWANCE = 1e-3


@dataclass(frozen=True, eq=False, kw_only=True)
class Separation:
    """Whether rows are separated, and how.

    Attributes
    ----------
    kind : str
        "none", "quasi-complete", "complete" (every comparison of every row is raised), or "unknown"
        if a bound of the search was met.
    direction : array (C, p + 1)
        A direction that raises every row that any direction raises and lowers none, intercept last:
        few terms, the largest of the features 1. Zero if there is none, or it is not known.
    features : tuple of int
        The features whose coefficients have no finite estimate: those that some direction changes.
        All of the direction's are among them.
    intercept : bool
        Whether the intercept has no finite estimate.
    rows : int
        The number of rows that are raised: the probability of the label rises for ever.
    labels : tuple of int
        The number of these rows by label, (K,).
    least : float
        The least by which the direction moves the log odds of such a row; infinite without one.
    total : int
        The number of all rows.
    readings : int
        The number of readings that the search took.
    reason : str
        Why the kind is unknown; empty if it is known.
    alike : int array (C, p + 1) or None
        Of several classes, for each coefficient the first class whose coefficient of that feature
        no direction moves away from it: two classes with the same have a finite difference. None if
        it is not known, as of a model that was saved.
    """

    kind: Kind
    direction: Array
    features: tuple[int, ...] = ()
    intercept: bool = False
    rows: int = 0
    labels: tuple[int, ...] = ()
    least: float = np.inf
    total: int
    readings: int
    reason: str = ""
    alike: IntArray | None = None

    def sentence(self, names: Sequence[str]) -> str:
        """Return the finding in a sentence, with these names of the features."""
        if self.kind == "none":
            return "no separation: the estimate exists"
        if self.kind == "unknown":
            return f"it is not known whether the rows are separated: {self.reason}"
        return separation_sentence(
            self.direction, self.features, self.labels, self.total, names,
            complete=self.kind == "complete",
        )  # fmt: skip

    def outcome(self, names: Sequence[str]) -> str:
        """Return how a fit of separated rows ends, for a list of facts."""
        where = along(self.direction, names)
        firth = " or biasReduction='firth'" if len(self.direction) == 1 else ""
        return f"at infinity along {where}, where the rows are separated: use a penalty{firth}"


def absence_bound(step: Array, moments: Moments, origin: Array | None) -> float:
    """Return a bound on how much a Newton step raises any comparison; below 1 excludes separation.

    step : D (C, p + 1), relative to the origin of the pass, of a Hessian that was not singular
    moments : those of all rows

    One margin: max |x'D| <= |mid'D| + half'|D|, with the middle and half the range of each feature.
    Classes: ubar - u_k <= max_l (u_l - u_k), so the same for each difference D_l - D_k.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        middle = moments.minimum / 2 + moments.maximum / 2 - (0.0 if origin is None else origin)
        half = moments.maximum / 2 - moments.minimum / 2
        bounds = [0.0]
        for at in range(len(step)):
            its = step if len(step) == 1 else step[at + 1 :] - step[at]
            moves = np.abs(its[:, :-1] @ middle + its[:, -1]) + np.abs(its[:, :-1]) @ half
            bounds.append(np.max(moves, initial=0.0))
        bound = float(np.max(bounds)) * (1 + ALLOWANCE)  # nan if one of them is
    return bound if np.isfinite(bound) else np.inf


def find_separation(passes: Passes, family: Family, classes: int, *, intercept: bool) -> Separation:
    """Return whether the rows are separated, by at most `MOST_READINGS` readings of them."""
    frame = Frame.of(passes.moments, family, classes, intercept=intercept)
    search = _Search(passes, frame)
    try:
        return search.run()
    except UndecidedError as bound:
        return search.without_direction("unknown", str(bound))


class _Search:
    """A search for a direction that separates the rows, and its number of readings so far."""

    def __init__(self, passes: Passes, frame: Frame) -> None:
        self._passes, self._frame = passes, frame
        self._readings, self._work = 0, 0

    def run(self) -> Separation:
        """Add rows to a linear programme until no row speaks against its direction."""
        frame = self._frame
        sample = with_weight(self._passes.sample)
        whole = sample.rows == self._passes.moments.rows
        rows = spread_rows(sample, self._first_rows(sample))
        if frame.size == 0:  # there is nothing to choose
            return self.without_direction("none")
        while True:
            self._allow(rows)
            cone = cone_of(frame.comparisons(rows), frame.free)
            if cone.basis.shape[1] == 0:
                return self.without_direction("none")
            reading = self._reading_of(cone, rows)
            sides = self._sides_of(reading, sample)
            if not sides.against and not whole:
                sides = self._read(reading)
            if not sides.against:
                return self._separation(cone, reading.directions[0], sides)
            rows = stack_blocks([rows, sides.rows])

    def without_direction(self, kind: Kind, reason: str = "") -> Separation:
        """Return that there is no separation, or that it is not known."""
        direction = np.zeros((self._frame.margins, self._frame.features + 1))
        rows, readings = self._passes.moments.rows, self._readings
        return Separation(
            kind=kind, direction=direction, total=rows, readings=readings, reason=reason
        )

    def _first_rows(self, sample: Block) -> int:
        """Return how many rows begin: enough to have no direction by chance, or what is allowed."""
        wanted = max(LEAST_ROWS, ROWS_A_COORDINATE * self._frame.shape[1])
        each = self._stored(sample) // max(sample.rows, 1)
        most = min(MOST_VALUES // 2, MOST_WORK // 2 // max(self._frame.size, 1))
        return int(min(wanted, most // max(each, 1)))

    def _stored(self, rows: Block) -> int:
        """Return the number of values that the comparisons of rows store: of two margins each."""
        others = self._frame.shape[0]
        stored = rows.stored if self._frame.origin is None else rows.rows * rows.features
        return (stored + rows.rows) * min(2, others) * others

    def _allow(self, rows: Block) -> None:
        """Check that a programme on these rows is within the bounds."""
        coordinates, comparisons = self._frame.size, rows.rows * self._frame.shape[0]
        if coordinates > MOST_COORDINATES:
            raise UndecidedError(
                f"{coordinates} coefficients are more than the {MOST_COORDINATES} of the largest "
                "linear programme"
            )
        self._work += self._stored(rows) * coordinates
        if self._stored(rows) > MOST_VALUES or comparisons * coordinates > MOST_DENSE:
            raise UndecidedError(f"a linear programme on {rows.rows} rows is too large")
        if self._work > MOST_WORK:
            raise UndecidedError("the linear programmes were too many")

    def _reading_of(self, cone: Cone, rows: Block) -> SidesOfRows:
        """Return the reading of the cone's direction in simple numbers, and of the cone's span."""
        frame = self._frame
        unseen = _at_most(cone.basis[:, : cone.unseen], self._most_directions)
        seen = _at_most(cone.basis[:, cone.unseen :], self._most_directions)
        span = frame.to_rows(np.column_stack((unseen, seen)))
        (direction,) = frame.to_rows(cone.direction[:, None])
        scaled, room = _scaled(direction)
        for simple in _simple_numbers(scaled, exact_intercept=frame.origin is None):
            directions = np.concatenate((simple[None], span))
            reading = SidesOfRows(
                frame.family, frame.classes, directions, unseen.shape[1], room, ADDED_ROWS
            )
            if not self._sides_of(reading, rows).against:
                return reading
        raise UndecidedError("a direction separates the rows by hardly more than rounding errors")

    @property
    def _most_directions(self) -> int:
        numbers = self._frame.margins * (self._frame.features + 1)
        return int(np.clip(BASIS_NUMBERS // numbers, LEAST_DIRECTIONS, MOST_DIRECTIONS))

    def _sides_of(self, reading: SidesOfRows, rows: Block) -> Sides:
        accumulator = reading.accumulator(self._frame.features, self._frame.origin)
        accumulator.add(rows)
        return accumulator.part()

    def _read(self, reading: SidesOfRows) -> Sides:
        if self._readings == MOST_READINGS:
            raise UndecidedError(f"{MOST_READINGS} readings of the rows were not enough")
        self._readings += 1
        return self._passes.read(reading)

    def _separation(self, cone: Cone, direction: Array, sides: Sides) -> Separation:
        """Return the separation of rows of which none speaks against the direction."""
        if not sides.raised.any():
            return self.without_direction("none")
        infinite = self._infinite(cone, direction)
        return Separation(
            kind="complete" if sides.certain == sides.total else "quasi-complete",
            direction=self._frame.to_user(direction),
            features=tuple(int(j) for j in np.flatnonzero(infinite[:-1])),
            intercept=bool(infinite[-1]),
            rows=int(sides.raised.sum()),
            labels=tuple(int(count) for count in sides.raised),
            least=sides.least,
            total=sides.total,
            readings=self._readings,
            alike=self._alike(cone, direction) if len(direction) > 1 else None,
        )

    def _alike(self, cone: Cone, direction: Array) -> IntArray:
        """Return which class is the first that moves with each one, by coefficient (C, p + 1)."""
        span = self._frame.to_rows(cone.basis[:, cone.unseen :])
        moves = np.array([self._frame.to_user(its) for its in (*span, direction)])
        away = np.abs(moves[:, :, None] - moves[:, None])  # (b, C, C, p + 1)
        same = away.max(axis=0) <= ALIKE * np.abs(moves).max(axis=(0, 1))
        return np.asarray(same.argmax(axis=1))

    def _infinite(self, cone: Cone, direction: Array) -> BoolArray:
        """Return which coefficients have no finite estimate, (p + 1,).

        A coefficient that the rows do not determine (that an unseen direction changes) can always
        be chosen, so it counts only if the direction needs it.
        """
        unseen = np.any(cone.basis[:, : cone.unseen] != 0, axis=1)
        seen = np.any(cone.basis[:, cone.unseen :] != 0, axis=1)
        needed: BoolArray = np.any(direction != 0, axis=0)
        return self._frame.to_features(seen & ~unseen) | needed


def _at_most(basis: Array, most: int) -> Array:
    """Return the columns of a basis; if they are too many, one random sum of the last of them.

    With probability 1, a row that some of these change is changed by the sum.
    """
    count = basis.shape[1]
    if count <= most:
        return basis
    factors = np.random.default_rng(count).standard_normal(count - most + 1)
    return np.column_stack((basis[:, : most - 1], basis[:, most - 1 :] @ factors))


def _scaled(direction: Array) -> tuple[Array, float]:
    """Return a direction (C, p + 1) with a largest coefficient of 1, and what became of 1 itself.

    Of a family with a margin per class, each feature's coefficient of the class in the middle is 0.
    """
    if len(direction) > 1:
        shifted = direction - np.sort(direction, axis=0)[(len(direction) - 1) // 2]
        dust = np.abs(shifted) <= DUST * np.abs(direction).max(axis=0)
        direction = np.where(dust, 0.0, shifted)
    largest = np.abs(direction[:, :-1]).max(initial=0.0) or np.abs(direction[:, -1]).max() or 1.0
    return direction / largest, float(1 / largest)


def _simple_numbers(direction: Array, *, exact_intercept: bool) -> list[Array]:
    """Return a direction (C, p + 1) in small fractions, if it is near them, and as it is."""
    exact = direction if exact_intercept else direction[:, :-1]
    for denominator in range(1, LARGEST_DENOMINATOR + 1):
        near = np.round(exact * denominator) / denominator
        if np.abs(near - exact).max(initial=0.0) <= NEAR_FRACTION:
            simple = direction.copy()
            simple[:, : near.shape[1]] = near
            return [simple, direction]
    return [direction]
