"""The reading of a network against its formula, however the rows are held."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from pyspark import cloudpickle
from scipy.special import expit

from sparklr.arrays import Array
from sparklr.mean_field import reading as readings
from sparklr.mean_field.reading import NetworkSums
from sparklr.passes.local import LocalPasses
from sparklr.passes.worker import MergeParts, ReadBlocks
from sparklr.rows.blocks import Block
from tests.problems import make_rows

RANDOM = np.random.default_rng(2)
# Five neurons, and two more columns that are not of the network.
READING = NetworkSums(RANDOM.normal(size=(7, 4)) / 2, RANDOM.normal(size=7), 5, 3.0)


def expected(rows: Block, origin: Array | None) -> tuple[float, Array, Array]:
    matrix = np.asarray(rows.to_dense().matrix) - (0.0 if origin is None else origin)
    weights = np.ones(rows.rows) if rows.weights is None else rows.weights
    tanh = np.tanh(matrix @ READING.weights.T + READING.biases)
    logits = READING.scale * tanh[:, :5].mean(axis=1)
    loss = weights @ (np.logaddexp(0, logits) - rows.labels * logits)
    residuals = weights * (expit(logits) - rows.labels)
    slopes = READING.scale * residuals[:, None] * (1 - tanh**2)
    points = np.column_stack((matrix, np.ones(rows.rows)))
    return float(loss), READING.scale * residuals @ tanh, slopes.T @ points


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("far", [False, True])
def test_the_sums_are_those_of_the_formulas(
    sparse: bool, weighted: bool, far: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "SLICE_BYTES", 7 * 8 * 90)  # several slices per block
    rows = make_rows(3, 700, 4, weighted=weighted, sparse=sparse)
    if far:  # so that the passes have an origin
        moved = rows.to_dense().matrix + np.array([2.0**20, 0, 0, 0])
        rows = rows.with_matrix(sp.csr_matrix(moved) if sparse else moved)
    passes = LocalPasses.of([rows.take(slice(0, 300)), rows.take(slice(300, 700))], 4)
    origin = passes.moments.origin
    assert (origin is not None) == far
    loss, potentials, gradients = READING.split(passes.read(READING))
    found = expected(rows, origin)
    assert_allclose(loss, found[0], rtol=1e-9)
    assert_allclose(potentials, found[1], rtol=1e-8, atol=1e-8)
    assert_allclose(gradients, found[2], rtol=1e-8, atol=1e-7)


def test_a_gradient_is_that_of_the_loss_times_the_number_of_neurons() -> None:
    rows = make_rows(5, 200, 4)
    passes = LocalPasses.of([rows], 4)

    def loss(weights: Array) -> float:
        return READING.split(passes.read(NetworkSums(weights, READING.biases, 5, 3.0)))[0]

    _, _, gradients = READING.split(passes.read(READING))
    step = np.zeros((7, 4))
    step[2, 1] = 1e-5
    slope = (loss(READING.weights + step) - loss(READING.weights - step)) / 2e-5
    assert_allclose(5 * slope, gradients[2, 1], rtol=1e-7)


def test_in_tasks_and_merged_on_the_way() -> None:
    """What workers make of shipped blocks, with the reading as it arrives there."""
    rows, arrived = make_rows(8, 600, 4, weighted=True), pickle.loads(cloudpickle.dumps(READING))
    parts = []
    for partition in range(2):
        mine = rows.take(slice(300 * partition, 300 * (partition + 1)))
        columns = {
            "partition": pa.array([partition], pa.int32()),
            "position": pa.array([0], pa.int32()),
            "run": pa.array([0], pa.int64()),
            "length": pa.array([-1], pa.int64()),
            "folder": pa.array([None], pa.string()),
            "payload": pa.array([mine.to_bytes()], pa.binary()),
        }
        (made,) = ReadBlocks(arrived, 4, None, None, True)(iter([pa.record_batch(columns)]))
        parts.append(made.append_column("bucket", pa.array([0], pa.int32())))
    (merged,) = MergeParts(arrived)(parts)
    loss, potentials, gradients = arrived.split(arrived.from_bytes(merged["part"][0].as_buffer()))
    for found, wanted in zip((loss, potentials, gradients), expected(rows, None), strict=True):
        assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_it_repeats_to_the_bit_and_its_size_is_that_of_its_messages() -> None:
    rows = make_rows(6, 4_000, 4)
    blocks = [rows.take(slice(at, at + 500)) for at in range(0, 4_000, 500)]
    passes = LocalPasses.of(blocks, 4)
    many = LocalPasses(blocks, passes.moments, blocks[0], 4)
    assert_array_equal(many.read(READING), many.read(READING))
    assert_allclose(many.read(READING), passes.read(READING), rtol=1e-10)
    assert READING.size == len(READING.to_bytes(passes.read(READING)))
    assert READING.columns == 7
