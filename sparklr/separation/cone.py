"""The directions in which no comparison of some rows falls, by linear programming.

With comparisons A (m, q), one per row and other label, the directions are the cone

    R = {d: a . d >= 0 for each a of A}.

A comparison is *movable* if a . d > 0 for some d of R, and tight if not. A sum of directions is a
direction, so one d moves all that are movable. By Farkas' lemma, in the form of Stiemke and Tucker,

    minimise sum_i s_i   over y >= 0, s >= 0, y + s >= 1, A'y = 0

has s_i = 1 and y_i = 0 where a_i is movable, and s_i = 0 and y_i >= 1 where it is tight. It is the
dual of Konis's programme with slacks (maximise sum t, a . d >= t, 0 <= t <= 1), whose optimum moves
all that is movable; the programme without slacks (maximise sum a . d, |d| <= 1) may miss some.

The tight comparisons T span the complement of R's span: for each v with T v = 0, a direction that
moves all others can be changed by a little of v. So a coefficient has a finite estimate only if it
follows from T. Two inequalities guard both claims against rounding: a . d >= 1 where a is movable,
which the second programme demands; and |T'y| < the least singular value of T, because

    least |d| <= |T d| <= sum_i |a_i . d| <= sum_i y_i a_i . d = (T'y) . d <= |T'y| |d|

for the part of any d of R that lies in the span of T, so that this part is zero.

Depends on arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.optimize import OptimizeResult, linprog

from sparklr.arrays import Array, BoolArray, Matrix, is_sparse

# Singular values below this share of the largest are zero.
RANK_TOLERANCE = 1e-11
# Coefficients below this share of the largest are zero.
DUST = 1e-10
# How often a direction of fewer terms is sought, what is little beside the largest term, and how
# many terms are so few that each is tried.
REWEIGHTED = 2
LITTLE = 1e-2
FEW_TERMS, MANY_TERMS = 10, 50
# HiGHS ignores smaller entries of a matrix, so they must not be in the sums of its columns either.
LEAST_ENTRY = 1e-8


class UndecidedError(ArithmeticError):
    """A question about separation has no answer within some bound or within rounding."""


@dataclass(frozen=True, eq=False)
class Cone:
    """The directions in which no comparison falls."""

    moved: BoolArray  # which comparisons are movable, (m,)
    direction: Array  # one that moves them all, with few nonzero coefficients; or zero, (q,)
    basis: Array  # of the span of all directions, (q, b); its columns are sparse if they can be
    unseen: int  # so many columns, the first, move no comparison at all


def cone_of(matrix: Matrix, free: BoolArray) -> Cone:
    """Return the cone of comparisons (m, q).

    free : the coordinates that may be large in the direction, at no cost, (q,)
    """
    unit = _unit_rows(matrix)
    moved, multipliers = _movable(unit)
    tight, movable = unit[np.flatnonzero(~moved)], unit[np.flatnonzero(moved)]
    _, span, least = _row_and_null_space(_dense(tight))
    residual = float(np.linalg.norm(tight.T @ multipliers[~moved]))
    if not residual < 0.5 * least * float(multipliers[~moved].min(initial=1.0)):
        raise UndecidedError("the rows are separated, or not, by less than rounding errors")
    seen, unseen, _ = _row_and_null_space(np.asarray(movable @ span))
    basis = np.column_stack((_sparsest(span @ unseen), _sparsest(span @ seen)))
    direction = np.zeros(matrix.shape[1])
    if moved.any():
        # Rows as they are, not of unit size: then d is in the middle of a gap, where other rows
        # speak against it less often.
        direction = _sparse_direction(matrix[np.flatnonzero(moved)], basis, free)
        direction = _refined(direction, tight)
    return Cone(moved, direction, basis, unseen.shape[1])


def _unit_rows(matrix: Matrix) -> Matrix:
    """Return the comparisons divided by their largest entries, which changes no sign of a . d."""
    if is_sparse(matrix):
        largest = np.asarray(abs(matrix).max(axis=1).todense()).ravel()
        return sp.csr_matrix(sp.diags(1 / np.where(largest > 0, largest, 1.0)) @ matrix)
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    return matrix / np.where(largest > 0, largest, 1.0)


def _movable(matrix: Matrix) -> tuple[BoolArray, Array]:
    """Return which comparisons are movable, and the multipliers y >= 1 of the others, (m,).

    With y = 1 + w - s the first programme has q equations in w >= 0 and 0 <= s <= 1.
    """
    rows = matrix.shape[0]
    columns = sp.csc_matrix(matrix.T, copy=True)
    columns.data[np.abs(columns.data) < LEAST_ENTRY] = 0.0
    answer = linprog(
        np.repeat((0.0, 1.0), rows),
        A_eq=sp.hstack((columns, -columns), format="csc"),
        b_eq=-np.asarray(columns.sum(axis=1)).ravel(),
        bounds=[(0, None)] * rows + [(0, 1)] * rows,
    )
    excess, slack = np.split(_solution(answer), 2)
    return slack > 0.5, 1 + excess - slack


def _sparse_direction(movable: Matrix, basis: Array, free: BoolArray) -> Array:
    """Return d = basis c, (q,), with a . d >= 1 for all movable a, and few nonzero terms.

    The least sum of |d_j| over all j that are not free has few terms. The least sum of |d_j| /
    (|previous d_j| + a little) has fewer (Candes, Wakin and Boyd 2008). If they are few, each is
    left out if the others suffice.
    """
    reach = sp.csr_matrix(movable @ (sp.csr_matrix(basis) if is_sparse(movable) else basis))
    costs = np.where(free, 0.0, 1.0)
    direction = _solution(_cheapest(reach, basis, costs))
    if np.count_nonzero(direction) > MANY_TERMS:
        return direction
    for _ in range(REWEIGHTED):
        sizes = np.abs(direction[~free])
        costs[~free] = 1 / (sizes / (sizes.max(initial=0.0) or 1.0) + LITTLE)
        direction = _solution(_cheapest(reach, basis, costs))
    terms = np.flatnonzero(~free & (direction != 0))
    if len(terms) > FEW_TERMS:
        return direction
    costs = np.where(free, 0.0, np.inf)
    costs[terms] = 1.0
    for term in terms[np.argsort(np.abs(direction[terms]))]:
        costs[term] = np.inf
        answer = _cheapest(reach, basis, costs)
        if answer.status == 0:
            direction = _solution(answer)
        else:
            costs[term] = 1.0
    return direction


def _cheapest(reach: Matrix, basis: Array, costs: Array) -> OptimizeResult:
    """Minimise sum_j costs_j |d_j|, d = basis c, where reach c >= 1; x is d.

    An infinite cost forbids a term. What is left of others by rounding is removed.
    """
    count, terms = basis.shape[1], np.flatnonzero(costs > 0)
    costly, each = sp.csr_matrix(basis[terms]), sp.identity(len(terms))
    allowed = [(0, None if np.isfinite(cost) else 0) for cost in costs[terms]]
    answer = linprog(
        np.concatenate((np.zeros(count), np.where(np.isfinite(costs), costs, 0.0)[terms])),
        A_ub=sp.bmat([[-reach, None], [costly, -each], [-costly, -each]], format="csc"),
        b_ub=np.repeat((-1.0, 0.0), (reach.shape[0], 2 * len(terms))),
        bounds=[(None, None)] * count + allowed,
    )
    if answer.status == 0:
        found = basis @ answer.x[:count]
        answer.x = np.where(np.abs(found) > DUST * np.abs(found).max(), found, 0.0)
    return answer


def _solution(answer: OptimizeResult) -> Array:
    if answer.status != 0:
        raise UndecidedError(f"a linear programme was not solved ({answer.message})")
    return np.asarray(answer.x, dtype=np.float64)


def _refined(direction: Array, tight: Matrix) -> Array:
    """Return d, (q,), with T d = 0 up to a few roundings of the terms of each row.

    Each row is divided by sum_j |t_j d_j|: where the terms are small, because the row is large only
    in what d does not change, they have as many right digits as in other rows.
    """
    refined, chosen = direction.copy(), np.flatnonzero(direction)
    rows = _dense(tight[:, chosen])
    for _ in range(2):
        sizes = np.abs(rows) @ np.abs(refined[chosen])
        scaled = rows[sizes > 0] / sizes[sizes > 0, None]
        error = scaled @ refined[chosen]
        refined[chosen] -= scipy.linalg.lstsq(scaled, error, cond=RANK_TOLERANCE)[0]
    return refined


def _row_and_null_space(matrix: Array) -> tuple[Array, Array, float]:
    """Return orthonormal bases of both, (q, r) and (q, q - r), and the least singular value."""
    rows, width = matrix.shape
    if rows == 0 or width == 0:
        return np.zeros((width, 0)), np.eye(width), np.inf
    if rows > width:
        matrix = scipy.linalg.qr(matrix, mode="r", check_finite=False)[0][:width]
    _, values, vectors = scipy.linalg.svd(matrix)
    rank = int(np.sum(values > RANK_TOLERANCE * values[0]))
    least = float(values[rank - 1]) if rank else np.inf
    return vectors[:rank].T, vectors[rank:].T, least


def _sparsest(basis: Array) -> Array:
    """Return a basis (q, b) of the same space with one column's 1 and others' 0 in b rows.

    A space of b coordinates has these coordinates as its basis.
    """
    width = basis.shape[1]
    if width == 0:
        return basis
    factor, order = scipy.linalg.qr(basis.T, mode="r", pivoting=True)
    reduced = np.zeros(basis.shape)
    reduced[order] = scipy.linalg.solve_triangular(factor[:, :width], factor).T
    return np.where(np.abs(reduced) > DUST, reduced, 0.0)


def _dense(matrix: Matrix) -> Array:
    return np.asarray(matrix.toarray()) if is_sparse(matrix) else matrix
