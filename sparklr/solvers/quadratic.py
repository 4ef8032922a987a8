"""Minima of quadratics on the driver: the linear algebra of Newton's step.

Works on matrices only, without the queries, steps and stopping rules of an outer method.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, eigh
from scipy.linalg.lapack import dpocon

from sparklr.arrays import Array, BoolArray
from sparklr.solvers.box import Box

# Relative size below which an eigenvalue of a matrix with unit diagonal counts as zero.
SINGULAR = 1e-12
# The same for eigenvalues, which are known to about this share of the largest, per coordinate.
NO_EIGENVALUE = 4 * float(np.finfo(np.float64).eps)
# Multiples of its diagonal that are added to a Hessian in turn. With the smallest multiple it can
# still be factored safely; the final zero allows a step where the curvature is smaller still.
PROXIMITIES = (*(10.0**-power for power in range(1, 11)), 0.0)
# Line searches with the unchanged Hessian: by then the signs are right or there is no minimum.
LAST_LINES = 5


def solve_symmetric(matrix: Array, right: Array) -> Array:
    """Solve matrix @ x = right for a positive semi-definite matrix; least squares if singular.

    The matrix is first scaled to a unit diagonal, so one threshold suits features of any scale.
    Cholesky is used where it is safe. Else eigenvalues that are zero up to rounding are left out,
    which gives the solution of least norm in the scaled coordinates.
    """
    diagonal = np.diagonal(matrix)
    scale = np.zeros_like(diagonal)
    np.divide(1.0, np.sqrt(diagonal, where=diagonal > 0, out=scale), where=diagonal > 0, out=scale)
    scaled = matrix * scale[:, None] * scale
    factor = _safe_factor(scaled)
    if factor is not None:
        return np.asarray(scale * cho_solve((factor, True), scale * right))
    values, vectors = eigh(scaled)
    kept = values > NO_EIGENVALUE * values[-1] * len(values)
    vectors = vectors[:, kept]
    return np.asarray(scale * (vectors @ ((vectors.T @ (scale * right)) / values[kept])))


def _safe_factor(matrix: Array) -> Array | None:
    """Return the lower Cholesky factor, or None if the matrix is singular up to rounding.

    LAPACK's condition estimate decides, because not every singular matrix has a small pivot.
    """
    if len(matrix) == 0:
        return matrix
    try:
        factor = cholesky(matrix, lower=True)
    except LinAlgError:
        return None
    reciprocal, _ = dpocon(factor, np.abs(matrix).sum(axis=0).max(), uplo="L")
    return np.asarray(factor) if reciprocal > SINGULAR else None


def minimise_with_l1(
    point: Array,
    gradient: Array,
    hessian: Array,
    l1: Array,
    box: Box | None = None,
    *,
    guess: Array | None = None,
    share: float = 0.0,
) -> Array:
    """Return the d that minimises g'd + d'Hd/2 + sum_j l1_j |point_j + d_j|, point + d in the box.

    The search begins at `guess`, by default at the point itself. It ends where the KKT residual is
    that `share` of the point's; with 0 it goes on to the rounding level.

    H may be singular, or nearly so. The proximal point method (Rockafellar 1976) solves a series
    of models that are not singular:

        z  <-  the minimum of the model + s/2 sum_j H_jj (x_j - z_j)^2,    s = 0.1, 0.01, ...

    The first models settle most signs cheaply; once the signs are right, the KKT residual shrinks
    by about s each time. If the model has no minimum, the last step is a long descent.
    """
    box = Box.around(point, box)
    z = point.copy() if guess is None else guess
    slope = gradient + hessian @ (z - point)
    enough = share * np.abs(pseudo_gradient(point, gradient, l1, box)).max(initial=0)
    scale = max(float(np.abs(gradient).max(initial=0)), float(l1.max(initial=0)))
    diagonal = np.diagonal(hessian)
    weights = np.where(diagonal > 0, diagonal, diagonal.max(initial=0) or 1.0)
    for strength in PROXIMITIES[0 if guess is None else 2 :]:
        if _is_solved(z, slope, hessian, l1, box, scale, enough):
            break
        near = hessian + np.diag(strength * weights)
        lines = 2 * len(z) + 50 if strength > 0 else LAST_LINES
        z = _minimise_convex(z, slope, near, l1, box, scale, lines)
        slope = gradient + hessian @ (z - point)
    return z - point


def _is_solved(
    z: Array,
    slope: Array,
    hessian: Array,
    l1: Array,
    box: Box,
    scale: float,
    enough: float = 0.0,
) -> bool:
    """Whether the KKT residual is `enough`, or at the rounding level of slopes or products."""
    # |H_jk| <= root_j root_k for a positive semi-definite matrix.
    root = np.sqrt(np.maximum(np.diagonal(hessian), 0.0))
    rounding = 4 * np.finfo(np.float64).eps * root.max(initial=0) * float(root @ np.abs(z))
    residual = pseudo_gradient(z, slope, l1, box)
    return bool(np.abs(residual).max(initial=0) <= max(1e-12 * scale, rounding, enough))


def _minimise_convex(
    point: Array,
    gradient: Array,
    hessian: Array,
    l1: Array,
    box: Box,
    scale: float,
    lines: int,
) -> Array:
    """Return the minimum z of the model at `point`, for a safely positive definite Hessian.

    An active-set method, exact up to rounding. The active coordinates are those that are not at
    zero or a bound, or that descend away from it. They move together towards the minimum for their
    present signs, along a line that bends at the bounds and whose kinks (a coordinate crossing
    zero) are searched exactly. Coordinate descent has cheaper steps, but needs thousands of sweeps
    on correlated features. Usually there are fewer lines than coordinates; after `lines` lines the
    best point so far is returned.
    """
    z, slope = point.copy(), gradient.copy()
    only: int | None = None  # the one coordinate to free, if freeing all at once fails
    for _ in range(lines):
        if _is_solved(z, slope, hessian, l1, box, scale):
            break
        residual = pseudo_gradient(z, slope, l1, box)
        resting = (z == 0) | box.touches(z)
        leaving = resting & (residual != 0)
        if only is not None:
            leaving &= np.arange(len(z)) == only
        moved = _move_to_predicted_minimum(~resting, residual, leaving, hessian)
        new = _follow(z, moved, slope, hessian, l1, box)
        if new is not None:
            z, only = new, None
            slope = gradient + hessian @ (z - point)
            continue
        blocked = np.where(resting, np.abs(residual), 0.0)
        if only is not None or not blocked.any():
            break  # no coordinate moves: as close as rounding allows
        only = int(blocked.argmax())
    return z


def pseudo_gradient(z: Array, slope: Array, l1: Array, box: Box | None = None) -> Array:
    """Return the subgradient of least norm of f + sum_j l1_j |z_j|, for gradient `slope` of f.

    It is also zero for a coordinate that a bound of the box keeps from moving down its slope.
    """
    at_zero = np.sign(slope) * np.maximum(np.abs(slope) - l1, 0.0)
    free = np.where(z == 0, at_zero, slope + l1 * np.sign(z))
    return free if box is None else np.where(box.holds(z, free), 0.0, free)


def _move_to_predicted_minimum(
    moving: BoolArray, residual: Array, leaving: BoolArray, hessian: Array
) -> Array:
    """Return the move to the minimum over the active coordinates, if no sign changes.

    Active are coordinates that are `moving` and coordinates that are `leaving` zero or a bound. One
    that would leave to the wrong side is held, and the others are solved again.
    """
    leaving = leaving.copy()
    moved = np.zeros_like(residual)
    while True:
        active = np.flatnonzero(moving | leaving)
        moved[:] = 0.0
        moved[active] = solve_symmetric(hessian[np.ix_(active, active)], -residual[active])
        astray = leaving & (moved * residual >= 0)
        if not astray.any():
            return moved
        leaving &= ~astray


def _follow(
    z: Array, moved: Array, slope: Array, hessian: Array, l1: Array, box: Box
) -> Array | None:
    """Return the first minimum of the model along z + t * moved, t >= 0; None if nothing moves.

    A coordinate that reaches its bound, or that the l1 term stops at zero, stays there; the others
    go on while that descends. So one line may put many coordinates at zero or a bound.
    """
    found = None
    while True:
        length, stops = _search_line(z, moved, slope, hessian, l1)
        times = box.room(z, moved)
        reach = times.min(initial=np.inf)
        if length < reach or reach == np.inf:
            if not 0 < length < np.inf:
                return found
            hits, found = stops, box.clip(z + length * moved)
            found[hits] = 0.0
            if not hits.any():
                return found
        else:
            hits, found = times == reach, box.clip(z + reach * moved)
            found[hits] = np.where(moved > 0, box.upper, box.lower)[hits]
        slope = slope + hessian @ (found - z)
        z, moved = found, np.where(hits, 0.0, moved)


def _search_line(
    z: Array, moved: Array, slope: Array, hessian: Array, l1: Array
) -> tuple[float, BoolArray]:
    """Find the exact minimum of the model along z + t * moved, t >= 0.

    Returns t, which is infinite if the line descends without end, and which coordinates reach zero
    there. The derivative along the line is piecewise linear, a + b t, with a jump of
    2 l1_j |moved_j| where coordinate j crosses zero.
    """
    crossing = np.flatnonzero((z * moved < 0) & (l1 > 0))
    times = -z[crossing] / moved[crossing]
    order = np.argsort(times, kind="stable")
    crossing, times = crossing[order], times[order]
    jumps = 2 * l1[crossing] * np.abs(moved[crossing])
    signs = np.where(z == 0, np.sign(moved), np.sign(z))
    a = float(slope @ moved + l1 @ (signs * moved))
    b, unseen = _curvature_along(moved, slope, hessian, l1)
    stops = np.zeros(len(z), dtype=bool)
    before = a + b * times + np.concatenate(([0.0], np.cumsum(jumps)[:-1])) if len(times) else jumps
    reached = np.flatnonzero(before + jumps >= -unseen)
    if len(reached) == 0 or before[reached[0]] > 0:  # the minimum lies between two kinks
        passed = float(jumps[: reached[0]].sum() if len(reached) else jumps.sum())
        if a + passed >= -unseen:
            return 0.0, stops
        return (-(a + passed) / b if b > 0 else np.inf), stops
    stops[crossing[times == times[reached[0]]]] = True
    return float(times[reached[0]]), stops


def _curvature_along(moved: Array, slope: Array, hessian: Array, l1: Array) -> tuple[float, float]:
    """Return moved'H moved, and the least slope of a line that does not count as zero.

    If the curvature is at rounding level, it counts as zero, and so does a slope at rounding level:
    their ratio would be an arbitrary step.
    """
    curvature = float(moved @ hessian @ moved)
    # |H_jk| <= sqrt(H_jj H_kk) for a positive semi-definite matrix.
    terms = float(np.sqrt(np.maximum(np.diagonal(hessian), 0.0)) @ np.abs(moved)) ** 2
    if curvature > 4 * len(moved) * np.finfo(np.float64).eps * terms:
        return curvature, 0.0
    return 0.0, SINGULAR * len(moved) * float((np.abs(slope) + l1) @ np.abs(moved))
