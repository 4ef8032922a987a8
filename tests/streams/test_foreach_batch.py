"""Batches as a stream gives them: files that arrive, a stream that stops and goes on."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.ml.linalg import Vectors
from scipy.special import expit

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.fitting.cautions import ConvergenceWarning
from sparklr.streams import Updates
from tests.errors import assert_plain

pytestmark = [pytest.mark.connect]

NAMES = ["a", "b", "c"]
SCHEMA = "a double, b double, c double, label double"


def batch(seed: int, rows: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, 3)) * [1.0, 10.0, 0.1] + [5.0, 0.0, 0.0]
    chances = expit(matrix @ [1.0, 0.1, -5.0] - 5.5)
    labels = (random.random(rows) < chances).astype(float)
    return pd.DataFrame(matrix, columns=NAMES).assign(label=labels)


def estimator(**params: Any) -> LogisticRegressionEstimator:
    return LogisticRegressionEstimator(**{"featuresCols": NAMES, "regParam": 1e-3, **params})


def arrive(folder: Path, seed: int) -> None:
    """A file with a batch, there as a whole or not at all; Spark takes files by their times."""
    folder.mkdir(exist_ok=True)
    batch(seed).to_json(folder / ".coming", orient="records", lines=True)
    os.utime(folder / ".coming", (1.7e9 + seed, 1.7e9 + seed))
    (folder / ".coming").rename(folder / f"{seed}.json")


def run(spark: Any, source: Path, checkpoint: Path, updates: Updates) -> None:
    """Let a stream of files learn from all that are there, one per batch, and stop."""
    stream = spark.readStream.schema(SCHEMA).option("maxFilesPerTrigger", 1).json(str(source))
    writer = stream.writeStream.option("checkpointLocation", str(checkpoint))
    writer.trigger(availableNow=True).foreachBatch(updates).start().awaitTermination()


def test_a_stream_that_stops_and_goes_on_ends_in_the_same_bits(spark: Any, tmp_path: Path) -> None:
    files, stopped = tmp_path / "files", tmp_path / "stopped"
    updates = estimator(decayFactor=0.9).updates(str(stopped))
    arrive(files, 0)
    run(spark, files, tmp_path / "checkpoint", updates)
    assert LogisticRegressionModel.loadLatest(str(stopped)).batchesLearned == 1
    for seed in (1, 2):
        arrive(files, seed)
    run(spark, files, tmp_path / "checkpoint", pickle.loads(pickle.dumps(updates)))
    model = LogisticRegressionModel.loadLatest(str(stopped))
    assert (model.batchesLearned, model.rowsLearned) == (3, 600)
    assert 0.3 < model.progressiveLoss < 0.7
    # By hand, what never stopped; files of one partition each, as the stream reads them.
    known = None
    for seed in range(3):
        frame = spark.read.schema(SCHEMA).json(str(files / f"{seed}.json"))
        known = estimator(decayFactor=0.9).partialFit(frame, known)
    assert known is not None
    for name in ("mean", "precision", "centre", "deviation"):
        assert_array_equal(getattr(model._stream, name), getattr(known._stream, name))
    assert model.coefficients == known.coefficients
    assert str(model.posterior) == str(known.posterior)
    assert model.featureNames == NAMES


KILLED = """
import sys
from pathlib import Path
from pyspark.sql import SparkSession
from tests.streams.test_foreach_batch import estimator, run

where = Path(sys.argv[1])
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
updates = estimator(decayFactor=0.9).updates(str(where / "state"))

def told(frame, batch):
    print("begins", batch, flush=True)
    updates(frame, batch)
    print("learned", batch, flush=True)

run(builder.getOrCreate(), where / "files", where / "checkpoint", told)
"""


@pytest.mark.deep
@pytest.mark.classic
@pytest.mark.parametrize("moment", ["begins 1", "learned 1"])
def test_a_program_that_is_killed_goes_on_in_another(
    spark: Any, tmp_path: Path, moment: str
) -> None:
    """By a signal that it cannot catch, in a batch, or while Spark may write down the next one."""
    for seed in range(4):
        arrive(tmp_path / "files", seed)
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line.strip() == moment for line in process.stdout)
        process.kill()
        process.stdout.read()  # until its JVM has ended too
    learned = LogisticRegressionModel.loadLatest(str(tmp_path / "state")).batchesLearned
    assert learned in ((1, 2) if moment == "begins 1" else (2, 3))
    updates = estimator(decayFactor=0.9).updates(str(tmp_path / "state"))
    run(spark, tmp_path / "files", tmp_path / "checkpoint", updates)
    model = LogisticRegressionModel.loadLatest(str(tmp_path / "state"))
    assert model.rowsLearned == 800  # each once
    if moment == "learned 1":
        # Had Spark not yet written batch 2 down, its rows may come with those of batch 3.
        assert model.batchesLearned in (3, 4)
        return
    known = None
    for seed in range(4):
        frame = spark.read.schema(SCHEMA).json(str(tmp_path / "files" / f"{seed}.json"))
        known = estimator(decayFactor=0.9).partialFit(frame, known)
    assert known is not None
    assert model.coefficients == known.coefficients
    assert model.batchesLearned == 4
    assert model.progressiveLoss == known.progressiveLoss


def test_a_batch_seen_before_is_skipped_and_an_empty_one_passes(spark: Any, tmp_path: Path) -> None:
    where = tmp_path / "state"
    updates = estimator().updates(str(where))
    frame = spark.createDataFrame(batch(1))
    updates(frame.where("a < -1000"), 0)
    assert not (where / "latest").exists()
    updates(frame, 1)
    before = (where / "latest").read_text()
    updates(spark.createDataFrame(batch(2)), 1)
    updates(frame.where("a < -1000"), 2)
    assert (where / "latest").read_text() == before
    with pytest.raises(ValueError, match="has 2 features, but the model has learned 3") as refused:
        estimator(featuresCols=["a", "b"]).updates(str(where))(frame, 3)
    assert_plain(refused.value, ())
    with pytest.raises(ValueError, match="has label 2, but the model has learned 2 classes"):
        updates(frame.withColumn("label", frame.label * 2), 3)
    assert (where / "latest").read_text() == before


def test_a_model_that_learned_is_saved_and_goes_on(spark: Any, tmp_path: Path) -> None:
    first, second = (spark.createDataFrame(batch(seed)).coalesce(1) for seed in (1, 2))
    model = estimator().partialFit(first)
    assert np.isnan(model.progressiveLoss)
    model.save(str(tmp_path / "model"))
    loaded = LogisticRegressionModel.load(str(tmp_path / "model"))
    expected, found = (estimator().partialFit(second, its) for its in (model, loaded))
    assert found.coefficients == expected.coefficients
    assert found.progressiveLoss == expected.progressiveLoss == expected.lastBatchLoss
    scored = model.predictProbability(batch(2)[NAMES])
    labels = batch(2)["label"].to_numpy().astype(int)
    assert_allclose(expected.lastBatchLoss, -np.log(scored[np.arange(200), labels]).mean())
    assert model.batchesLearned == 1  # not changed
    asked = expected.copy()._set(probabilityIntervalCol="interval")
    assert asked.transform(second).first()["interval"].size == 2


@pytest.mark.parametrize(
    ("why", "params"),
    [
        ("needs a prior, but regParam=0", {"regParam": 0.0}),
        ("elasticNetParam=0.5 has an L1 part", {"elasticNetParam": 0.5}),
        ("does not go with offsetCol='a'", {"offsetCol": "a"}),
        ("does not go with classWeights", {"classWeights": "balanced"}),
        ("does not go with biasReduction", {"biasReduction": "firth"}),
        ("does not go with validationIndicatorCol='a'", {"validationIndicatorCol": "a"}),
        (
            "has a solver of its own. Set solver='auto', or 'sgd', not 'l-bfgs'",
            {"solver": "l-bfgs"},
        ),
        ("does not use learningRate", {"learningRate": 0.1}),
        ("does not use epochs", {"epochs": 3}),
        ("carries Laplace's posterior on", {"posterior": "sampled"}),
        ("not standard errors", {"inference": "always"}),
        ("has no L1 part, but elasticNetParam=0.5", {"solver": "sgd", "elasticNetParam": 0.5}),
        ("one epoch of each batch, so epochs is not used", {"solver": "sgd", "epochs": 3}),
        ("schedule='cosine' depends on it", {"solver": "sgd", "schedule": "cosine"}),
        (
            "nothing that decayFactor=0.5 could discount",
            {"solver": "sgd", "decayFactor": 0.5, "adaptive": "none"},
        ),
        ("does not use stepRule", {"solver": "sgd", "stepRule": "bb"}),
        ("which posterior='laplace' needs", {"solver": "sgd", "posterior": "laplace"}),
        ("which averaged=True needs", {"solver": "sgd", "averaged": True}),
        ("does not go with offsetCol='a'", {"solver": "sgd", "offsetCol": "a"}),
    ],
)
def test_what_does_not_go_with_a_stream_is_refused(why: str, params: dict[str, Any]) -> None:
    """Before anything is read: nothing is there to be read."""
    with pytest.raises(ValueError, match=why) as refused:
        estimator(**params).updates("/nowhere")
    assert_plain(refused.value, ())


def words(spark: Any, seed: int, rows: int = 120) -> Any:
    """Sparse rows of a few hundred words in one partition, some with an effect on the label."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(rows):
        found = np.unique((300 * random.random(12) ** 2).astype(int))
        label = float((found < 20).sum() > 1 + random.logistic())
        made.append((label, Vectors.sparse(300, found.tolist(), [1.0] * len(found))))
    return spark.createDataFrame(made, ["label", "features"]).coalesce(1)


def test_a_descent_goes_on_in_a_folder_a_file_and_in_memory(spark: Any, tmp_path: Path) -> None:
    """With the same bits; nothing but the solver is another than of a posterior."""
    wide = LogisticRegressionEstimator(solver="sgd", regParam=1e-3, seed=2)
    where, saved = str(tmp_path / "state"), str(tmp_path / "model")
    updates = pickle.loads(pickle.dumps(wide.updates(where)))
    model = None
    for number in range(3):
        frame = words(spark, number)
        updates(frame, number)
        if model is not None:
            model.write().overwrite().save(saved)
            model = LogisticRegressionModel.load(saved)
        model = wide.partialFit(frame, model)
    assert model is not None
    latest = LogisticRegressionModel.loadLatest(where)
    assert latest.coefficients == model.coefficients
    assert (latest.batchesLearned, latest.rowsLearned) == (3, 360)
    assert latest.progressiveLoss == model.progressiveLoss < np.log(2)
    with pytest.raises(ValueError, match="has learned from a stream without one") as refused:
        _ = latest.posterior
    assert_plain(refused.value, ("solver='auto'",))
    with pytest.raises(ValueError, match="the model has learned with solver='sgd'") as refused:
        estimator(featuresCols=None).partialFit(frame, model)
    assert_plain(refused.value, ())


def test_a_rate_that_is_too_large_is_told_and_changes_nothing(spark: Any) -> None:
    wide = LogisticRegressionEstimator(solver="sgd", regParam=1e-3, adaptive="none")
    model = wide.partialFit(words(spark, 1))
    with pytest.raises(ValueError, match="has learned with adaptive='none'") as refused:
        wide.copy().setAdaptive("adagrad").partialFit(words(spark, 2), model)
    assert_plain(refused.value, ())
    with pytest.raises(ValueError, match="nothing that decayFactor") as refused:
        wide.copy().setAdaptive("auto").setDecayFactor(0.5).partialFit(words(spark, 2), model)
    assert_plain(refused.value, ())
    with pytest.warns(ConvergenceWarning, match="set a smaller learningRate"):
        after = wide.copy().setLearningRate(1e6).partialFit(words(spark, 2), model)
    assert after.coefficients == model.coefficients
    assert after.batchesLearned == 2


def test_only_a_model_of_a_stream_goes_on(two: Any) -> None:
    model = LogisticRegressionEstimator().fit(two)
    with pytest.raises(ValueError, match="has not learned from a stream") as refused:
        LogisticRegressionEstimator(regParam=0.1).partialFit(two, model)
    assert_plain(refused.value, ())


def test_a_lost_pointer_is_no_new_beginning(tmp_path: Path) -> None:
    """Found before the rows are looked at: there are none."""
    (tmp_path / "batch=3").mkdir()
    nothing: Any = None
    with pytest.raises(ValueError, match=r"a folder of batch 3, but no file 'latest'") as refused:
        estimator().updates(str(tmp_path))(nothing, 4)
    assert_plain(refused.value, ("to begin anew",))
    with pytest.raises(ValueError, match=r"keep=0 is not allowed: it must be 1 or more"):
        estimator().updates(str(tmp_path), keep=0)
