"""Rows and fits in memory for tests whose answers follow from the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import family_named
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import SolverName
from tests.parity.objective import Array, Setting

NONE: dict[str, float] = {}
L2 = {"regParam": 0.05}
L1 = {"regParam": 0.02, "elasticNetParam": 1.0}
NET = {"regParam": 0.03, "elasticNetParam": 0.5}
penalties = pytest.mark.parametrize("penalty", [NONE, L2, L1, NET], ids=["none", "L2", "L1", "net"])
smooth = pytest.mark.parametrize("penalty", [NONE, L2], ids=["none", "L2"])
families = pytest.mark.parametrize("classes", [2, 3], ids=["binomial", "multinomial"])
intercepts = pytest.mark.parametrize("intercept", [True, False], ids=["intercept", "origin"])
layouts = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])


def setting_for(classes: int, **options: Any) -> Setting:
    return Setting(family="binomial" if classes == 2 else "multinomial", **options)


def fit(
    features: Array,
    labels: Array,
    weights: Array | None = None,
    *,
    setting: Setting,
    classes: int = 2,
    blocks: int = 3,
    sparse: bool = False,
    tol: float = 0.0,
    solver: SolverName = "auto",
) -> Fit:
    """Fit rows that are cut into blocks, without Spark; as far as float64 goes, unless told."""
    cuts = np.array_split(np.arange(len(labels)), blocks)
    matrix = sp.csr_matrix(features) if sparse else features
    made = [
        Block(matrix[rows], labels[rows], None if weights is None else weights[rows])
        for rows in cuts
    ]
    passes = LocalPasses.of(made, features.shape[1])
    named = {**vars(setting), "family": family_named(setting.family)}
    fits, _ = fit_all({0: Spec(**named, tol=tol, solver=solver)}, passes, classes)
    return fits[0]


def assert_same(found: Any, wanted: Any, tolerance: float = 1e-7) -> None:
    """Both pairs of coefficients and intercepts, to a share of the largest number in each."""
    for mine, other in zip(found, wanted, strict=True):
        scale = np.abs(other).max(initial=0.0)
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance * max(scale, 1e-3))


def numbers(found: Fit) -> tuple[Array, Array]:
    return found.coefficients, found.intercepts


def some_rows(classes: int, rows: int = 90, features: int = 3) -> tuple[Array, Array, Array]:
    """Overlapping classes: features (n, p), labels (n,), weights (n,) between 0.5 and 2."""
    rng = np.random.default_rng(100 * rows + 10 * features + classes)
    matrix = rng.normal(size=(rows, features))
    effects = rng.normal(size=(features, classes))
    labels = (matrix @ effects + rng.gumbel(size=(rows, classes))).argmax(axis=1)
    labels[:classes] = np.arange(classes)
    return matrix, labels.astype(float), rng.choice([0.5, 1.0, 2.0], size=rows)


def separable(classes: int, width: int) -> tuple[Array, Array]:
    """Classes around points of a circle through the origin's neighbourhood, far apart."""
    rng = np.random.default_rng(classes + width)
    labels = np.arange(30) % classes
    angle = 2 * np.pi * labels / classes
    features = rng.normal(size=(30, width))
    features[:, :2] = 0.5 * features[:, :2] + 5 * np.column_stack((np.cos(angle), np.sin(angle)))
    return features, labels.astype(float)
