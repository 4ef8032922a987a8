"""Fit the cases of glmnet.json with Spark's own estimator and write spark.json.

From the root of the repository, with Spark 4.3 (up to ten minutes on two cores)::

    python -m tests.parity.make_spark

Each case is fitted on dense and on sparse vectors, one partition, at Spark's default settings
and at tight ones. Spark's L-BFGS sometimes stops before it has arrived, also at tight
settings, so every fit carries its objective, recomputed by objective.py, and each tight fit
how far it is from glmnet's solution: `gap`, the excess of the objective, and `distance`, as
defined by `distance` below.

The reading of data and cases is here too, for the tests.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.parity.objective import Array, Setting, deviations, objective

FOLDER = Path(__file__).parent
VECTORS = ("dense", "sparse")
TIGHT = {"tol": 1e-15, "maxIter": 10_000}
NO_NATIVE_BLAS = " ".join(
    f"-Ddev.ludovic.netlib.{library}.nativeLib=none" for library in ("blas", "lapack", "arpack")
)


def read_cases(name: str = "glmnet.json") -> list[dict[str, Any]]:
    """The cases of a file of reference numbers in this folder."""
    cases: list[dict[str, Any]] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return cases


def read_data(family: str) -> tuple[Array, Array, Array]:
    """Features (n, 5), labels (n,) and weights (n,) of a family's data set."""
    name = "binary.csv" if family == "binomial" else "multiclass.csv"
    table = np.loadtxt(FOLDER / "data" / name, delimiter=",", skiprows=1)
    return table[:, :5], table[:, 6], table[:, 5]


def data_of(case: dict[str, Any]) -> tuple[Array, Array, Array]:
    """Features, labels and weights of a case: ones, unless it is weighted."""
    features, labels, weights = read_data(case["family"])
    return features, labels, weights if case["weighted"] else np.ones(len(labels))


def params_of(case: dict[str, Any]) -> dict[str, Any]:
    """A case's Params, for Spark's estimator as for ours."""
    names = ("family", "regParam", "elasticNetParam", "fitIntercept", "standardization")
    params = {name: case[name] for name in names}
    return {**params, "weightCol": "weight"} if case["weighted"] else params


def setting_of(case: dict[str, Any]) -> Setting:
    """What a case minimises."""
    names = ("family", "regParam", "elasticNetParam", "fitIntercept", "standardization")
    return Setting(**{name: case[name] for name in names})


def frame_of(
    spark: Any,
    features: Array,
    labels: Array,
    weights: Array | None = None,
    *,
    sparse: bool = False,
) -> Any:
    """A frame of one partition with columns features, label and perhaps weight."""
    from pyspark.ml.linalg import Vectors

    def vector(row: Array) -> Any:
        kept = np.flatnonzero(row)
        return Vectors.sparse(len(row), kept, row[kept]) if sparse else Vectors.dense(row)

    rows = [(vector(row), float(label)) for row, label in zip(features, labels, strict=True)]
    if weights is None:
        return spark.createDataFrame(rows, ["features", "label"]).coalesce(1)
    rows = [(*row, float(weight)) for row, weight in zip(rows, weights, strict=True)]
    return spark.createDataFrame(rows, ["features", "label", "weight"]).coalesce(1)


def distance(
    coefficients: Any, intercepts: Any, reference: Any, its_intercepts: Any, spread: Array
) -> float:
    """How far apart two solutions are, as a share of the reference's largest number.

    max(|B_kj - R_kj| s_j, |c_k - r_k|) / max(|R_kj| s_j, |r_k|), with s_j the standard
    deviation of column j: coefficients count as on scaled columns, in the intercepts' unit.
    """

    def flat(matrix: Any, vector: Any) -> Array:
        return np.concatenate(((np.asarray(matrix) * spread).ravel(), np.asarray(vector)))

    wanted = flat(reference, its_intercepts)
    apart = flat(coefficients, intercepts) - wanted
    return float(np.abs(apart).max() / np.abs(wanted).max())


def _numbers(model: Any) -> tuple[list[list[float]], list[float]]:
    return model.coefficientMatrix.toArray().tolist(), model.interceptVector.toArray().tolist()


def _fit(case: dict[str, Any], frame: Any, **settings: Any) -> dict[str, Any]:
    from pyspark.ml.classification import LogisticRegression

    model = LogisticRegression(**params_of(case), **settings).fit(frame)
    coefficients, intercepts = _numbers(model)
    value = objective(coefficients, intercepts, *data_of(case), setting_of(case))
    return {
        "coefficients": coefficients,
        "intercepts": intercepts,
        "objective": value,
        "iterations": model.summary.totalIterations,
    }


def _entry(number: int, case: dict[str, Any], vectors: str, frame: Any) -> dict[str, Any]:
    tight = _fit(case, frame, **TIGHT)
    solution = case["coefficients"], case["intercepts"]
    features, _, weights = data_of(case)
    best = objective(*solution, *data_of(case), setting_of(case))
    tight["gap"] = tight["objective"] - best
    tight["distance"] = distance(
        tight["coefficients"], tight["intercepts"], *solution, deviations(features, weights)
    )
    return {"case": number, "vectors": vectors, "default": _fit(case, frame), "tight": tight}


def main() -> None:
    """Fit and write all."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.extraJavaOptions", NO_NATIVE_BLAS)
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    frames = {
        (family, vectors): frame_of(spark, *read_data(family), sparse=vectors == "sparse").cache()
        for family in ("binomial", "multinomial")
        for vectors in VECTORS
    }
    lines = []
    for number, case in enumerate(read_cases()):
        for vectors in VECTORS:
            entry = _entry(number, case, vectors, frames[case["family"], vectors])
            lines.append(json.dumps(entry))
            print(number, vectors, entry["tight"]["gap"], entry["tight"]["distance"], flush=True)
    spark.stop()
    text = "[\n" + ",\n".join(lines) + "\n]\n"
    (FOLDER / "spark.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
