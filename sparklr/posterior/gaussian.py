"""A solver of a Gaussian over passes: a reading of the rows for each of its queries."""

from __future__ import annotations

from sparklr.objective.sums import split_totals
from sparklr.passes.protocol import Passes
from sparklr.passes.smoothed_sums import SmoothedSums
from sparklr.posterior.log_posterior import LogPosterior
from sparklr.solvers import Answer
from sparklr.solvers.best_gaussian import Gaussian, GaussianSolver, SmoothedQuery
from sparklr.solvers.drive import drive


def ask(posterior: LogPosterior, query: SmoothedQuery, passes: Passes) -> Answer:
    """Return the answer to a query, from one reading of the rows."""
    probe = posterior.probe(query)
    (sums,) = split_totals([probe], passes.read(SmoothedSums((probe,))))
    return posterior.answer(query, sums)


def find_gaussian(solver: GaussianSolver, posterior: LogPosterior, passes: Passes) -> Gaussian:
    """Run a solver to its end."""
    return drive(solver, lambda query: ask(posterior, query, passes))
