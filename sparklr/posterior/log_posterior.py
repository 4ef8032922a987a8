"""The negative log posterior of a fit, in the solvers' coordinates, for means over Gaussians.

    V(x) = sum_i w_i loss_i(x) + (x - m)' P (x - m) / 2           for the prior N(m, P^-1)

This is the objective of the fit times the sum of the weights, if the prior is the L2 penalty's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparklr.objective.families import Family
from sparklr.objective.prior import GaussianPrior
from sparklr.objective.scaling import Scaling
from sparklr.objective.smoothed_sums import SmoothedProbe
from sparklr.objective.sums import Probe, Sums
from sparklr.solvers import Answer, Query
from sparklr.solvers.best_gaussian import SmoothedQuery


@dataclass(frozen=True, eq=False)
class LogPosterior:
    """What a reading needs to answer queries about V, and the prior that is added to its sums."""

    family: Family
    scaling: Scaling
    prior: GaussianPrior

    def probe(self, query: SmoothedQuery) -> SmoothedProbe:
        """Return the probe whose sums answer a query."""
        coefficients, offsets = self.scaling.to_rows(query.point)
        columns = query.factor.T
        spread = replace(self.scaling, margins=len(columns), held=0.0).to_rows(columns.ravel())
        return SmoothedProbe(
            self.family,
            coefficients,
            offsets,
            2,
            spread_coefficients=spread[0],
            spread_offsets=spread[1],
        )

    def plain_probe(self, query: Query) -> Probe:
        """Return the probe whose sums answer a query about V itself."""
        return Probe(self.family, *self.scaling.to_rows(query.point), query.order)

    def plain_answer(self, query: Query, sums: Sums) -> Answer:
        """Return V at a point, with its derivatives."""
        point, gradient, hessian = query.point, None, None
        if query.order > 0:
            gradient = self.scaling.gradient(sums.gradient) + self.prior.gradient(point)
        if query.order > 1:
            hessian = np.array(self.scaling.hessian(sums.hessian))
            self.prior.add_to(hessian)
        return Answer(float(sums.value[0]) + self.prior.value(point), gradient, hessian)

    def answer(self, query: SmoothedQuery, sums: Sums) -> Answer:
        """Return the means of V, its gradient and its Hessian."""
        value = float(sums.value[0]) + self.prior.mean_value(query.point, query.factor)
        gradient = self.scaling.gradient(sums.gradient) + self.prior.gradient(query.point)
        hessian = np.array(self.scaling.hessian(sums.hessian))
        self.prior.add_to(hessian)
        return Answer(value, gradient, hessian)
