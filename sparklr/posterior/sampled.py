"""Draws of a posterior by chains over passes: their points are columns of the same readings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparklr.arrays import MEGABYTE, Array
from sparklr.passes.protocol import Passes, read_round
from sparklr.posterior.log_posterior import LogPosterior
from sparklr.solvers import Query
from sparklr.solvers.chains import Chains, ChainSolver, ManyAnswer, ManyQuery, run_chains
from sparklr.solvers.drive import drive

# Of fewer steps the halves of a chain tell nothing of R-hat.
CHAINS, WARM, FEWEST = 64, 12, 8
BUDGET = 256 * MEGABYTE  # of the sums of one reading


@dataclass(frozen=True, eq=False)
class Sampled:
    """Draws in the solvers' coordinates, their moments, and how far these can be trusted.

    draws : (S, n)
    mean, factor : (n,) and F (n, n), with the covariance F F'
    r_hat, errors : (m,), of the coefficients, the errors in their deviations
    """

    draws: Array
    mean: Array
    factor: Array
    r_hat: Array
    errors: Array
    readings: int


def sample(
    posterior: LogPosterior,
    start: Array,
    root: Array,
    passes: Passes,
    *,
    units: Array,
    draws: int,
    seed: int,
) -> Sampled:
    """Draw about as many points as are wanted, by chains from N(start, R R').

    `units` (m, n) make the coefficients of a point.
    """
    steps = max(-(-draws // CHAINS), FEWEST)
    solver = run_chains(start, root, chains=CHAINS, warm=WARM, steps=steps, seed=seed)
    chains, readings = run(solver, posterior, passes)
    factor = root @ np.linalg.cholesky(chains.covariance)
    points = start + chains.draws.reshape(-1, len(start)) @ root.T
    varying = units[units.any(axis=1)]
    change = varying @ root
    deviations = np.linalg.norm(varying @ factor, axis=1)
    return Sampled(
        points,
        start + root @ chains.mean,
        factor,
        chains.split_r_hat(change),
        chains.errors(change) / deviations,
        readings,
    )


def run(solver: ChainSolver, posterior: LogPosterior, passes: Passes) -> tuple[Chains, int]:
    """Run chains to their end; return them and the number of readings."""
    readings = 0

    def answer(query: ManyQuery) -> ManyAnswer:
        nonlocal readings
        found, count = ask_at(posterior, query, passes)
        readings += count
        return found

    return drive(solver, answer), readings


def ask_at(posterior: LogPosterior, query: ManyQuery, passes: Passes) -> tuple[ManyAnswer, int]:
    """Return V and its gradient at all points, and the number of readings: one, or more of many."""
    queries = [Query(point, 1) for point in query.points]
    probes = [posterior.plain_probe(its) for its in queries]
    sums, readings = read_round(passes, probes, BUDGET)
    answers = [posterior.plain_answer(one, its) for one, its in zip(queries, sums, strict=True)]
    values = np.array([its.value for its in answers])
    return ManyAnswer(values, np.array([its.first() for its in answers])), readings
