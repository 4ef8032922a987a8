"""The rivals without Spark: what they minimise, which rows they take, and how they are ended."""

from __future__ import annotations

import argparse
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from benchmarks import h2o_glm, rivals_apart, workloads
from benchmarks.judge import Penalty, Side
from tests.parity.objective import Setting, minimum, objective


def test_each_rival_takes_the_rows_that_suit_it() -> None:
    def takers(name: str) -> list[str]:
        (workload,) = workloads.chosen([name])
        return [one.name for one in rivals_apart.RIVALS if one.takes(workload)]

    assert takers("corr-l1") == ["scikit-learn", "glum", "H2O"]
    assert takers("digits") == ["scikit-learn", "H2O"], "glum has two classes"
    assert takers("onehot") == ["scikit-learn", "glum"], "H2O has dense rows"
    assert takers("sparse") == takers("text") == ["scikit-learn"], "the rows are wide"
    assert takers("second") == takers("transform") == takers("grid") == []
    assert takers("cluster-well") == []


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = rivals_apart.Apart("Other", "no_such_package", h2o_glm.steps)
    monkeypatch.setattr(rivals_apart, "RIVALS", (rivals_apart.RIVALS[0], absent))
    assert rivals_apart.absences() == ["Other is not installed: pip install other"]


def hang(X: Any, y: Any, penalty: Penalty, _: Path) -> Iterator[None]:
    """The steps of a rival that starts an engine, and then fits for too long or fails."""
    assert X.shape == (2, 1)
    assert list(y) == [0.0, 1.0]
    engine = subprocess.Popen(["sleep", "60"])
    print(engine.pid, flush=True)
    yield None
    yield None
    if penalty.regParam:
        signal.pause()  # until it is ended


@pytest.mark.parametrize(("share", "limit", "note"), [(1.0, 0.5, "> 0.5"), (0.0, 600.0, "failed")])
def test_a_fit_that_is_slow_or_fails_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, limit: float, note: str
) -> None:
    monkeypatch.setattr(rivals_apart, "BUILD", tmp_path)
    monkeypatch.setitem(rivals_apart.TIME_LIMITS, "fit", limit)
    vector = {"type": 1, "size": None, "indices": None, "values": [2.0]}
    kinds = [("type", pa.int8()), ("size", pa.int32()), ("indices", pa.list_(pa.int32()))]
    features = pa.array([vector] * 2, pa.struct([*kinds, ("values", pa.list_(pa.float64()))]))
    pq.write_table(pa.table({"label": [0.0, 1.0], "features": features}), tmp_path / "rows")
    rows = argparse.Namespace(file=tmp_path / "rows")
    side = rivals_apart.Apart("slow", "slow", hang).fit(rows, Penalty(share))
    assert side == Side(note=note)
    engine = (tmp_path / "slow.log").read_text().splitlines()[0]
    state = subprocess.run(["ps", "-o", "stat=", "-p", engine], capture_output=True, text=True)
    assert state.stdout.strip()[:1] in ("", "Z")
    assert not (tmp_path / "apart").exists()


@pytest.mark.parametrize("classes", [2, 3])
def test_the_tables_of_h2o_become_coefficients(classes: int) -> None:
    expected = np.arange(4.0 * classes).reshape(classes, 4)[: 1 if classes == 2 else classes]
    tables = [{"Intercept": row[3], "x2": row[2], "x0": row[0]} for row in expected]
    named = {f"coefs_class_{at}": table for at, table in enumerate(tables)}
    found = h2o_glm.coefficients(tables[0] if classes == 2 else named, 3, classes)
    np.testing.assert_array_equal(found.intercepts, expected[:, 3])
    np.testing.assert_array_equal(found.matrix, expected[:, :3] * [1, 0, 1])  # x1 was left out


def _model(name: str, penalty: Penalty, rows: int) -> Any:
    if name == "glum":
        pytest.importorskip("glum")
        return rivals_apart.glum_model(penalty)
    return rivals_apart.sklearn_model(penalty, rows)


@pytest.mark.parametrize("name", ["scikit-learn", "glum"])
@pytest.mark.parametrize("penalty", [Penalty(0.1), Penalty()], ids=["L2", "none"])
def test_models_in_memory_minimise_the_same(name: str, penalty: Penalty) -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(400, 3)) * [0.1, 1.0, 10.0] + [0.0, 5.0, 0.0]
    y = (generator.logistic(size=400) < X @ [8.0, 1.0, 0.1] - 5).astype(float)
    setting, ones = Setting(regParam=penalty.regParam), np.ones(400)
    least = objective(*minimum(X, y, ones, setting), X, y, ones, setting)
    found, iterations = rivals_apart.fit_scaled(_model(name, penalty, 400), X, y)
    value = objective(found.matrix, found.intercepts, X, y, ones, setting)
    assert value == pytest.approx(least, rel=1e-6)
    assert iterations > 0


@pytest.mark.parametrize("name", ["scikit-learn", "glum"])
def test_models_in_memory_under_l1_on_sparse_rows(name: str) -> None:
    generator = np.random.default_rng(0)
    X = generator.poisson(0.3, size=(500, 4)).astype(float)
    y = (generator.logistic(size=500) < X @ [2.0, -2.0, 0.0, 0.0]).astype(float)
    dense, other = (
        rivals_apart.fit_scaled(_model(name, Penalty(0.05, 1.0), 500), rows, y)[0]
        for rows in (X, sparse.csr_matrix(X))
    )
    setting = Setting(regParam=0.05, elasticNetParam=1.0)
    values = [
        objective(its.matrix, its.intercepts, X, y, np.ones(500), setting) for its in (dense, other)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-3)
