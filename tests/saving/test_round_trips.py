"""Saving and loading: every Param, exact numbers, and files that are not whole."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal
from pyspark.errors import PySparkException
from pyspark.ml.linalg import DenseMatrix, DenseVector, SparseMatrix, SparseVector

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.errors import assert_plain
from tests.made_models import fitted_model, values_of
from tests.tiers import first_and_deep

pytestmark = [pytest.mark.connect, pytest.mark.usefixtures("spark")]

INF = float("inf")

# Neither numbers that decimal text rounds nor infinities may change.
SHARED: dict[str, Any] = {
    "featuresCols": ["age", "a.b", "häufig `x`"],
    "labelCol": "ill",
    "predictionCol": "",
    "probabilityCol": "chance",
    "rawPredictionCol": "raw",
    "weightCol": "w",
    "offsetCol": "o",
    "classWeights": [0.1 + 0.2, 1e300],
    "validationIndicatorCol": "held",
    "patience": 7,
    "maxIter": 17,
    "regParam": 0.1 + 0.2,
    "elasticNetParam": 1 / 3,
    "tol": 5e-324,
    "fitIntercept": False,
    "standardization": False,
    "threshold": 0.3,
    "thresholds": [0.7, 0.3],
    "aggregationDepth": 3,
    "maxBlockSizeInMB": 0.125,
    "family": "binomial",
    "solver": "l-bfgs",
    "biasReduction": "firth",
    "averaged": True,
    "intervalLevel": 0.1 + 0.2,
    "probabilityIntervalCol": "interval",
    "probabilityStdCol": "deviation",
    "sampledProbabilityCol": "draw",
    "seed": 2**53 + 1,
    "lowerBoundsOnCoefficients": DenseMatrix(2, 3, [-INF, 0.1, 1e-300, -INF, -1 / 3, 2.0]),
    "upperBoundsOnCoefficients": SparseMatrix(2, 3, [0, 1, 1, 2], [0, 1], [INF, 1 / 3]),
    "lowerBoundsOnIntercepts": DenseVector([-INF, 0.1]),
    "upperBoundsOnIntercepts": SparseVector(2, [1], [INF]),
}


STEPS: dict[str, Any] = {
    "stepRule": "armijo",
    "learningRate": 1 / 3,
    "schedule": "cosine",
    "batchSize": 17,
    "epochs": 3,
    "momentum": 0.9,
    "adaptive": "none",
    "averaging": True,
}


@pytest.fixture(scope="module")
def model() -> LogisticRegressionModel:
    names = SHARED["featuresCols"]
    return fitted_model([[0.1 + 0.2, -1e-300, 1 / 3]], [-0.7], names=names, **SHARED)


@pytest.fixture(scope="module")
def estimator(model: LogisticRegressionModel) -> LogisticRegressionEstimator:
    return LogisticRegressionEstimator(
        initialModel=model,
        verbose=False,
        inference="never",
        separation="error",
        posterior="laplace",
        posteriorTol=1 / 3,
        numDraws=65,
        decayFactor=1 / 3,
        timeUnit="points",
        **STEPS,
    )._set(**SHARED)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: Any, model: Any, estimator: Any) -> Path:
    """A folder with a saved model and a saved estimator, to be copied and never changed."""
    path: Path = tmp_path_factory.mktemp("saved")
    model.save(str(path / "model"))
    estimator.save(str(path / "estimator"))
    return path


@pytest.fixture
def saved(tmp_path: Path, whole: Path) -> Path:
    """The same, to be spoilt; without checksums, which would tell."""
    without = shutil.ignore_patterns("*.crc")
    return Path(shutil.copytree(whole, tmp_path / "saved", ignore=without))


def metadata_file(path: Path) -> Path:
    return next((path / "metadata").glob("part-*"))


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Write the metadata anew, as `change` makes them."""
    file = metadata_file(path)
    file.write_text(json.dumps(change(json.loads(file.read_text()))))


CLASSES: list[tuple[str, Any]] = [
    ("model", LogisticRegressionModel),
    ("estimator", LogisticRegressionEstimator),
]
either = pytest.mark.parametrize(("name", "cls"), CLASSES, ids=["model", "estimator"])


# round trips


def test_every_param_is_in_these_tests(model: Any, estimator: Any) -> None:
    assert {param.name for param in model.params} - set(SHARED) == {"featuresCol"}
    assert {param.name for param in estimator.params} - set(SHARED) == {
        "featuresCol",
        "inference",
        "initialModel",
        "decayFactor",
        "halfLife",
        "numDraws",
        "posterior",
        "posteriorTol",
        "separation",
        "timeUnit",
        "verbose",
        *STEPS,
    }


@pytest.mark.connect_slice
@either
def test_every_param_comes_back_exactly(whole: Path, name: str, cls: Any, request: Any) -> None:
    expected = request.getfixturevalue(name)
    loaded = cls.load(str(whole / name))
    assert type(loaded) is cls
    assert loaded.uid == expected.uid
    assert values_of(loaded) == values_of(expected)
    for param in loaded.params:
        assert param.parent == loaded.uid
    assert type(loaded.getLowerBoundsOnCoefficients()) is DenseMatrix
    assert type(loaded.getUpperBoundsOnIntercepts()) is DenseVector


def test_params_that_are_not_set_come_back_unset(tmp_path: Path) -> None:
    LogisticRegressionEstimator().save(str(tmp_path / "plain"))
    loaded = LogisticRegressionEstimator.load(str(tmp_path / "plain"))
    assert values_of(loaded) == ({}, values_of(LogisticRegressionEstimator())[1])


SPARSE = np.zeros((3, 40))
SPARSE[[0, 1, 2], [3, 7, 39]] = 0.1, -2.0, 1e-300
MODELS = {
    "dense": fitted_model([[0.1, 0.2], [1 / 3, -0.0], [5e-324, 1e308]], [0.1, -0.1, 0.0]),
    "sparse": fitted_model(SPARSE, [0.0, 0.0, 0.0], 3),
    "all zero": fitted_model([[0.0, 0.0]], [-INF], 1),
    "two rows of two classes": fitted_model([[1.0], [-1.0]], [0.5, -0.5], 2),
    "sparse, of one row": fitted_model(SPARSE[:1], [0.5], 2),
    "all two": fitted_model(np.zeros((3, 2)), [0.0, 0.0, INF], 3),
}


@pytest.mark.parametrize("kind", first_and_deep(MODELS, first=4))
def test_every_kind_of_model_comes_back_exactly(tmp_path: Path, kind: str) -> None:
    expected = MODELS[kind]
    expected.save(str(tmp_path / "model"))
    loaded = LogisticRegressionModel.load(str(tmp_path / "model"))
    for found, given in (
        (loaded.coefficientMatrix, expected.coefficientMatrix),
        (loaded.interceptVector, expected.interceptVector),
    ):
        assert type(found) is type(given)
        assert found == given
        assert_array_equal(found.toArray(), given.toArray())
    assert loaded.coefficientMatrix.isTransposed == expected.coefficientMatrix.isTransposed
    assert (loaded.numClasses, loaded.numFeatures) == (expected.numClasses, expected.numFeatures)
    assert loaded.toJson() == expected.toJson()  # also that it has no names, and its family
    assert not loaded.hasSummary


@pytest.mark.connect_slice
def test_saving_over_something_needs_overwrite(saved: Path, model: LogisticRegressionModel) -> None:
    path = str(saved / "model")
    other = fitted_model([[9.0]], [1.0], 2)
    plain_estimator = LogisticRegressionEstimator(regParam=0.5)
    before = metadata_file(saved / "model").read_bytes()
    for one in (other, plain_estimator):
        with pytest.raises(PySparkException, match="already exists"):
            one.save(path)
        with pytest.raises(PySparkException, match="already exists"):
            one.write().save(path)
    assert metadata_file(saved / "model").read_bytes() == before
    assert LogisticRegressionModel.load(path).coefficients == model.coefficients
    other.write().overwrite().save(path)
    assert LogisticRegressionModel.load(path).coefficients == DenseVector([9.0])
    plain_estimator.write().overwrite().save(path)
    assert LogisticRegressionEstimator.load(path).getRegParam() == 0.5
    assert not (saved / "model" / "data").exists()


def test_nothing_saved_is_a_pickle(whole: Path) -> None:
    kinds = {file.suffix for file in whole.rglob("*") if file.is_file()} - {".crc"}
    assert kinds == {".txt", ".parquet", ""}
    for file in whole.rglob("*"):
        if file.is_dir() or file.suffix == ".crc":
            continue
        content = file.read_bytes()
        if file.suffix == ".txt":
            assert isinstance(json.loads(content), dict)
        elif file.suffix == ".parquet":
            columns = {str(column.physical_type) for column in pq.ParquetFile(file).schema}
            assert columns <= {"INT32", "DOUBLE", "BOOLEAN"}
        else:
            assert (file.name, content) == ("_SUCCESS", b"")
        with pytest.raises((pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError)):
            pickle.loads(content)


# files that cannot be loaded


@pytest.mark.connect_slice
@either
def test_a_missing_path_is_told(tmp_path: Path, name: str, cls: Any) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / name, tmp_path / "empty"):
        with pytest.raises(FileNotFoundError) as caught:
            cls.load(str(path))
        assert f"There is no saved model or estimator at '{path}'" in str(caught.value)
        assert str(caught.value).endswith("Check the path and its file system.")


@pytest.mark.parametrize("name", ["model", "estimator"])
def test_what_another_class_saved_is_refused(saved: Path, name: str) -> None:
    other = LogisticRegressionEstimator if name == "model" else LogisticRegressionModel
    with pytest.raises(ValueError, match=rf"holds sparklr\.{name}\..*, not sparklr\.\w+\.Log"):
        other.load(str(saved / name))


def test_a_newer_format_is_refused(saved: Path) -> None:
    edit(saved / "model", lambda found: {**found, "sparklrFormat": 99})
    with pytest.raises(ValueError, match=r"format 99 by a newer sparklr.*Upgrade"):
        LogisticRegressionModel.load(str(saved / "model"))


@pytest.mark.parametrize("text", ["", "{"])
def test_metadata_that_are_none_are_refused(saved: Path, text: str) -> None:
    """Of an empty file Spark gives no line."""
    metadata_file(saved / "model").write_text(text)
    with pytest.raises(ValueError, match="holds something without a class name, not sparklr"):
        LogisticRegressionModel.load(str(saved / "model"))


@pytest.mark.connect_slice
def test_a_model_without_data_is_refused(spark: Any, saved: Path) -> None:
    path = str(saved / "model")
    schema = spark.read.parquet(f"{path}/data").schema
    spark.createDataFrame([], schema).write.mode("overwrite").parquet(f"{path}/data")
    with pytest.raises(ValueError, match=rf"'{path}/data' is empty: .* Save it again\."):
        LogisticRegressionModel.load(path)
    shutil.rmtree(f"{path}/data")
    with pytest.raises((ValueError, FileNotFoundError), match=rf"'{path}"):
        LogisticRegressionModel.load(path)


def parquet_file(path: Path) -> Path:
    return next((path / "data").glob("part-*"))


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _no_parquet(file: Path) -> None:
    file.write_bytes(b"no parquet at all")


def _flip_inside(file: Path) -> None:
    """The pages' headers and what follows, not the schema at the end."""
    content = bytearray(file.read_bytes())
    content[4:40] = bytes(byte ^ 0xFF for byte in content[4:40])
    file.write_bytes(content)


def _change(file: Path, change: Callable[[Any], Any]) -> None:
    table = pq.read_table(file)
    pq.write_table(change(table), file)


def _column_gone(file: Path) -> None:
    _change(file, lambda table: table.drop_columns(["isMultinomial"]))


def _column_of_text(file: Path) -> None:
    def change(table: Any) -> Any:
        at = table.schema.get_field_index("numClasses")
        return table.set_column(at, "numClasses", table["numClasses"].cast("string"))

    _change(file, change)


def _two_rows(file: Path) -> None:
    def twice(table: Any) -> Any:
        return table.take([0, 0])

    _change(file, twice)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(_cut, marks=pytest.mark.connect_slice),
        _no_parquet,
        _flip_inside,
        pytest.param(_column_gone, marks=pytest.mark.connect_slice),
        _column_of_text,
        _two_rows,
    ],
)
def test_parquet_that_is_no_model_is_refused(saved: Path, harm: Callable[[Path], None]) -> None:
    path = saved / "model"
    harm(parquet_file(path))
    with pytest.raises(ValueError, match=r"[sS]ave it again\.$") as it:
        LogisticRegressionModel.load(str(path))
    assert_plain(it.value, (f"'{path}/data'", "ave it again"))
