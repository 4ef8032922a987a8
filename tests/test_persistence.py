"""Saving and loading: every Param, exact numbers, old files, and files that are not whole."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal
from pyspark.errors import PySparkException
from pyspark.ml.linalg import DenseMatrix, DenseVector, SparseMatrix, SparseVector, Vectors

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.objective.families import family_of_flag
from sparklr.saving.files import FORMAT
from sparklr.scoring.numbers import ModelNumbers
from tests.test_bad_input import assert_plain

pytestmark = pytest.mark.usefixtures("spark")

INF = float("inf")
SAVED = Path(__file__).parent / "saved"

# Neither numbers that decimal text rounds nor infinities may change.
SHARED: dict[str, Any] = {
    "featuresCols": ["age", "a.b", "häufig `x`"],
    "labelCol": "ill",
    "predictionCol": "",
    "probabilityCol": "chance",
    "rawPredictionCol": "raw",
    "weightCol": "w",
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
    "lowerBoundsOnCoefficients": DenseMatrix(2, 3, [-INF, 0.1, 1e-300, -INF, -1 / 3, 2.0]),
    "upperBoundsOnCoefficients": SparseMatrix(2, 3, [0, 1, 1, 2], [0, 1], [INF, 1 / 3]),
    "lowerBoundsOnIntercepts": DenseVector([-INF, 0.1]),
    "upperBoundsOnIntercepts": SparseVector(2, [1], [INF]),
}


def model_of(coefficients: Any, intercepts: Any, classes: int) -> LogisticRegressionModel:
    values = np.array(coefficients, dtype=float)
    given = np.array(intercepts, dtype=float)
    return LogisticRegressionModel._of(
        ModelNumbers.of(values, given, classes, family=family_of_flag(len(values) > 1))
    )


@pytest.fixture(scope="module")
def model() -> LogisticRegressionModel:
    made = model_of([[0.1 + 0.2, -1e-300, 1 / 3]], [-0.7], 2)._set(**SHARED)
    made._numbers = replace(made.numbers, names=tuple(SHARED["featuresCols"]))
    return made


@pytest.fixture(scope="module")
def estimator(model: LogisticRegressionModel) -> LogisticRegressionEstimator:
    return LogisticRegressionEstimator(initialModel=model, verbose=False)._set(**SHARED)


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


def plain(value: Any) -> Any:
    """A Param's value in a form that compares exactly."""
    if isinstance(value, LogisticRegressionModel):
        return value.toJson()
    return value.toArray().tolist() if hasattr(value, "toArray") else value


def values_of(params: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Params that are set, and the defaults."""
    return tuple(  # type: ignore[return-value]
        {param.name: plain(value) for param, value in values.items()}
        for values in (params._paramMap, params._defaultParamMap)
    )


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
        "initialModel",
        "verbose",
    }


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
    "dense": model_of([[0.1, 0.2], [1 / 3, -0.0], [5e-324, 1e308]], [0.1, -0.1, 0.0], 3),
    "sparse": model_of(SPARSE, [0.0, 0.0, 0.0], 3),
    "sparse, of one row": model_of(SPARSE[:1], [0.5], 2),
    "all zero": model_of([[0.0, 0.0]], [-INF], 1),
    "all two": model_of(np.zeros((3, 2)), [0.0, 0.0, INF], 3),
    "two rows of two classes": model_of([[1.0], [-1.0]], [0.5, -0.5], 2),
}


@pytest.mark.parametrize("kind", list(MODELS))
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
    assert loaded.numbers.family is expected.numbers.family
    assert loaded.numbers.names is None
    assert not loaded.hasSummary


def test_saving_over_something_needs_overwrite(saved: Path, model: LogisticRegressionModel) -> None:
    path = str(saved / "model")
    other = model_of([[9.0]], [1.0], 2)
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


@either
def test_a_missing_path_is_told(tmp_path: Path, name: str, cls: Any) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / name, tmp_path / "empty"):
        with pytest.raises(FileNotFoundError) as caught:
            cls.load(str(path))
        assert f"There is no saved model or estimator at '{path}'" in str(caught.value)
        assert str(caught.value).endswith("Check the path, and the file system it names.")


@either
def test_what_another_class_saved_is_refused(saved: Path, name: str, cls: Any) -> None:
    other = LogisticRegressionEstimator if name == "model" else LogisticRegressionModel
    theirs = "org.apache.spark.ml.classification.LogisticRegressionModel"
    with pytest.raises(ValueError, match=rf"holds sparklr\.{name}\..*, not sparklr\.\w+\.Log"):
        other.load(str(saved / name))
    edit(saved / name, lambda found: {**found, "class": theirs})
    with pytest.raises(ValueError, match=rf"'{saved / name}' holds {theirs}, not sparklr"):
        cls.load(str(saved / name))


@either
@pytest.mark.parametrize("number", [FORMAT + 1, 99])
def test_a_newer_format_is_refused(saved: Path, name: str, cls: Any, number: Any) -> None:
    edit(saved / name, lambda found: {**found, "sparklrFormat": number})
    words = rf"format {number} by a newer sparklr; this one reads up to format {FORMAT}\. Upgrade"
    with pytest.raises(ValueError, match=words):
        cls.load(str(saved / name))


@either
@pytest.mark.parametrize("number", [None, "1"])
def test_a_format_that_is_no_number_is_refused(
    saved: Path, name: str, cls: Any, number: Any
) -> None:
    edit(saved / name, lambda found: {**found, "sparklrFormat": number})
    with pytest.raises(ValueError, match="names no format"):
        cls.load(str(saved / name))


@either
@pytest.mark.parametrize(
    "text", ["", "{", '{"class": "sparklr', "[]", "[1]", "3", "null", '"text"', "{}", "\x00\x01"]
)
def test_metadata_that_are_none_are_refused(saved: Path, name: str, cls: Any, text: str) -> None:
    metadata_file(saved / name).write_text(text)
    with pytest.raises(ValueError, match="holds something that names no class, not sparklr"):
        cls.load(str(saved / name))


@either
@pytest.mark.parametrize("key", ["class", "uid", "paramMap", "defaultParamMap", "sparklrFormat"])
def test_metadata_that_lack_something_are_refused(
    saved: Path, name: str, cls: Any, key: str
) -> None:
    edit(saved / name, lambda found: {one: found[one] for one in found if one != key})
    with pytest.raises(ValueError, match=rf"'{saved / name}'.*\.$"):
        cls.load(str(saved / name))


@either
@pytest.mark.parametrize("params", [{"nonsense": 1}, {"regParam": "a"}, {"labelCol": 3}])
def test_metadata_of_damaged_params_are_refused(
    saved: Path, name: str, cls: Any, params: dict[str, Any]
) -> None:
    edit(saved / name, lambda found: {**found, "paramMap": params})
    with pytest.raises(ValueError, match=rf"'{saved / name}'.*{next(iter(params))}"):
        cls.load(str(saved / name))


def test_a_file_from_before_features_had_names_is_loaded(saved: Path) -> None:
    edit(saved / "model", lambda found: {k: found[k] for k in found if k != "featureNames"})
    loaded = LogisticRegressionModel.load(str(saved / "model"))
    assert loaded.featureNames == ["features[0]", "features[1]", "features[2]"]


def test_a_model_without_data_is_refused(spark: Any, saved: Path) -> None:
    path = str(saved / "model")
    schema = spark.read.parquet(f"{path}/data").schema
    spark.createDataFrame([], schema).write.mode("overwrite").parquet(f"{path}/data")
    with pytest.raises(ValueError, match=rf"'{path}/data' is empty: .* Save it again\."):
        LogisticRegressionModel.load(path)
    shutil.rmtree(f"{path}/data")
    with pytest.raises((ValueError, FileNotFoundError), match=rf"'{path}"):
        LogisticRegressionModel.load(path)


# what the first version saved; made by tests/saved/make.py


def test_a_saved_estimator_of_format_1_is_loaded() -> None:
    loaded = LogisticRegressionEstimator.load(str(SAVED / "format-1" / "estimator"))
    assert loaded.uid == "estimator_1"
    found = values_of(loaded)[0]
    start = json.loads(found.pop("initialModel"))
    assert found == {
        "featuresCols": ["age", "dose", "a.b"],
        "labelCol": "ill",
        "weightCol": "weight",
        "regParam": 0.1,
        "maxIter": 17,
        "tol": 1e-9,
        "standardization": False,
        "threshold": 0.25,
        "solver": "auto",
        "lowerBoundsOnCoefficients": [[0.0, -INF, -1.5]],
        "upperBoundsOnCoefficients": [[INF, 0.0, 0.1]],
        "lowerBoundsOnIntercepts": [-2.0],
        "upperBoundsOnIntercepts": [INF],
    }
    assert (start["uid"], start["coefficients"]) == ("binomial_1", [[0.5, -1.25, 0.1]])
    assert loaded.getInitialModel().featureNames == ["age", "dose", "a.b"]
    assert loaded.getElasticNetParam() == 0.0


def test_a_saved_binomial_model_of_format_1_is_loaded_and_scores(spark: Any) -> None:
    loaded = LogisticRegressionModel.load(str(SAVED / "format-1" / "binomial"))
    assert repr(loaded) == "LogisticRegressionModel: uid=binomial_1, numClasses=2, numFeatures=3"
    assert loaded.coefficients == DenseVector([0.5, -1.25, 0.1])
    assert loaded.intercept == 0.75
    assert loaded.featureNames == ["age", "dose", "a.b"]
    assert (loaded.getThreshold(), loaded.getRegParam()) == (0.3, 0.01)
    frame = spark.createDataFrame([(1.0, 2.0, 10.0)], ["age", "dose", "a.b"])
    scored = loaded.transform(frame).first()
    assert scored.rawPrediction.toArray() == pytest.approx([0.25, -0.25])
    assert scored.probability[1] == pytest.approx(0.4378234991142019)
    assert scored.prediction == 1.0


def test_a_saved_multinomial_model_of_format_1_is_loaded_and_scores(spark: Any) -> None:
    loaded = LogisticRegressionModel.load(str(SAVED / "format-1" / "multinomial"))
    assert (loaded.uid, loaded.numClasses, loaded.numFeatures) == ("multinomial_1", 3, 40)
    matrix = loaded.coefficientMatrix
    assert isinstance(matrix, SparseMatrix)
    places = {(0, 3): 0.1, (1, 7): -2.0, (2, 7): 1e-300, (2, 39): 4.5}
    assert len(matrix.values) == 4
    assert {place: matrix.toArray()[place] for place in places} == places
    assert loaded.interceptVector == DenseVector([0.25, 0.0, -0.25])
    assert loaded.getThresholds() == [0.2, 0.5, 0.3]
    row = Vectors.sparse(40, {3: 1.0, 39: 0.18})
    scored = loaded.transform(spark.createDataFrame([(row,)], ["features"])).first()
    assert scored.rawPrediction.toArray() == pytest.approx([0.35, 0.0, 0.56])
    chances = [0.34032518, 0.2398231, 0.41985171]
    assert scored.probability.toArray() == pytest.approx(chances, abs=1e-8)
    assert scored.p == 0.0  # by the thresholds, for 2 is the most probable


def test_the_saved_files_are_few_and_small() -> None:
    files = [file for file in (SAVED / f"format-{FORMAT}").rglob("*") if file.is_file()]
    assert len(files) == 5
    assert sum(file.stat().st_size for file in files) < 20_000


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
    [_cut, _no_parquet, _flip_inside, _column_gone, _column_of_text, _two_rows],
)
def test_parquet_that_is_no_model_is_refused(saved: Path, harm: Callable[[Path], None]) -> None:
    path = saved / "model"
    harm(parquet_file(path))
    with pytest.raises(ValueError, match=r"[sS]ave it again\.$") as it:
        LogisticRegressionModel.load(str(path))
    assert_plain(it.value, (f"'{path}/data'", "ave it again"))
