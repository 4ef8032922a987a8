"""What 16 learning rates of `solver="sgd"` cost in the reading of one: python -m benchmarks.walks

One reading of walks in this process, on one thread: processor time, the shortest of three. Rows are
those of a few blocks: dense with 100 features, and sparse with 50 tokens of 100,000. After the
first epoch a fit has at most half of the rates.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.sparse as sp

from sparklr.arrays import Array
from sparklr.objective.families import BINOMIAL
from sparklr.objective.ground import Ground
from sparklr.objective.sums import Probe
from sparklr.objective.walks import Base, Pace
from sparklr.passes.local import LocalPasses
from sparklr.passes.readings import DerivativeSums
from sparklr.passes.walks import Walks
from sparklr.rows.blocks import Block

RATES, BATCHES, REPEATS = 16, (64, 256), 3
DENSE, SPARSE, TOKENS = (10_000, 100), (14_000, 100_000), 50  # rows of a block, and features
BLOCKS = 3


def dense_block(random: np.random.Generator, rows: int, features: int) -> Block:
    """Return normal features, with labels of chance."""
    return Block(random.standard_normal((rows, features)), _labels(random, rows), None)


def sparse_block(random: np.random.Generator, rows: int, features: int) -> Block:
    """Return tokens of which few are common, with labels of chance."""
    tokens = (features * random.random((rows, TOKENS)) ** 3).astype(int)
    places = np.repeat(np.arange(rows), TOKENS), tokens.ravel()
    matrix = sp.csr_matrix((np.ones(tokens.size), places), shape=(rows, features))
    matrix.sum_duplicates()
    return Block(matrix, _labels(random, rows), None)


def _labels(random: np.random.Generator, rows: int) -> Array:
    return (random.random(rows) < 0.5).astype(np.float64)


def walks(passes: LocalPasses, rates: int, batch: int, epoch: int) -> Walks:
    """Return the reading of an epoch with so many rates; in the first, all begin at one point."""
    features, sparse = passes.moments.features, passes.sample.sparse
    centre = None if sparse else np.zeros(features)
    ground = Ground(BINOMIAL, 1, np.ones(features), centre, intercept=True, seed=0)
    pace = Pace(
        rates=np.geomspace(0.01, 1.0, rates),
        schedule="constant",
        epoch=epoch,
        epochs=10,
        batch=batch,
        momentum=0.0,
        adagrad=sparse,
        corrected=epoch > 0 or not sparse,
        averaged=False,
    )
    points = np.zeros((ground.size, 1 if epoch == 0 else rates))
    base = Base(points, points, np.zeros((ground.size, rates)), np.zeros(ground.size))
    return Walks(ground, pace, base, passes.moments.weight)


def shortest(run: Callable[[], object]) -> float:
    """Return the seconds of processor time of the shortest of a few runs."""
    seconds = []
    for _ in range(REPEATS):
        begin = time.process_time()
        run()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def lines(name: str, passes: LocalPasses) -> list[str]:
    """Return the lines of the table for some rows."""
    probe = Probe(BINOMIAL, np.zeros((1, passes.moments.features)), np.zeros(1), 1)
    gradient = shortest(lambda: passes.read(DerivativeSums((probe,))))
    found = []
    for batch in BATCHES:
        for epoch, rates in ((0, RATES), (1, RATES // 2)):
            one, many = (
                shortest(partial(passes.read, walks(passes, count, batch, epoch)))
                for count in (1, rates)
            )
            found.append(
                f"| {name} | {batch} | {epoch + 1} | {rates} | {one / gradient:.1f} | "
                f"{many / gradient:.1f} | {many / one:.1f} |"
            )
    return found


def main() -> None:
    """Print the table."""
    random = np.random.default_rng(1)
    print("| rows | batch | epoch | rates | one rate, in gradient readings | all rates | ratio |")
    print("|---|---|---|---|---|---|---|")
    for name, make, size in (("dense", dense_block, DENSE), ("sparse", sparse_block, SPARSE)):
        blocks = [make(random, *size) for _ in range(BLOCKS)]
        print(*lines(name, LocalPasses.of(blocks, size[1])), sep="\n", flush=True)


if __name__ == "__main__":
    main()
