"""What a reading of means over a Gaussian costs beside one with a Hessian, and how many are needed.

    python -m benchmarks.smoothed

In this process, on one thread: processor time, medians of nine pairs in turn.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np
from scipy.special import expit

from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL
from sparklr.objective.sums import Probe
from sparklr.passes.local import LocalPasses
from sparklr.passes.readings import DerivativeSums, Part, Reading
from sparklr.passes.smoothed_sums import SmoothedSums
from sparklr.passes.threads import one_blas_thread
from sparklr.posterior.of_information import Mode, Search, find_posterior
from sparklr.rows.blocks import Block
from sparklr.solvers.best_gaussian import SmoothedQuery

SIZES, PAIRS, BLOCK = ((100_000, 50), (300_000, 100)), 9, 20_000


def rows_of(rows: int, features: int) -> LocalPasses:
    """Return independent normal features, with labels whose log odds have deviation 1.5."""
    random = np.random.default_rng(1)
    effects = 1.5 * random.normal(size=features) / np.sqrt(features)
    blocks = []
    for _ in range(rows // BLOCK):
        matrix = random.normal(size=(BLOCK, features))
        labels = (random.random(BLOCK) < expit(matrix @ effects)).astype(np.float64)
        blocks.append(Block(matrix, labels, None))
    return LocalPasses.of(blocks, features)


def seconds(passes: LocalPasses, reading: Reading[Part]) -> float:
    """Return the processor time of a reading."""
    begin = time.process_time()
    passes.read(reading)
    return time.process_time() - begin


@one_blas_thread()
def main() -> None:
    """Print a line for each size."""
    for rows, features in SIZES:
        passes = rows_of(rows, features)
        spec = Spec(BINOMIAL, regParam=1e-3, inference=True)
        fit = fit_all({0: spec}, passes, 2)[0][0]
        assert fit.information is not None
        mode = Mode.of(fit.information, BINOMIAL, fit.coefficients, fit.intercepts)
        assert mode is not None
        smoothed = SmoothedSums((mode.posterior.probe(SmoothedQuery(mode.point, 2, mode.root)),))
        plain = DerivativeSums((Probe(BINOMIAL, *mode.posterior.scaling.to_rows(mode.point), 2),))
        ratios = [seconds(passes, smoothed) / seconds(passes, plain) for _ in range(PAIRS)]
        found = find_posterior(Search("gaussian", 0.01, 0, 0), mode, fit.information, passes)
        print(
            f"{rows:,} x {features}: a reading of means takes {median(ratios):.2f} times one with "
            f"a Hessian; {found.readings} were needed"
        )


if __name__ == "__main__":
    main()
