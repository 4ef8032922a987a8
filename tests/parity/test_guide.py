"""Programs that Spark's documentation shows, run as they are and with only the import changed.

The ML guide's three examples for logistic regression (examples/src/main/python/ml, between the
marks `$example on$` and `$example off$`), the examples in the docstring of Spark's class, and
one program of our own for what these leave out. The data come with PySpark.

In ten iterations, as the guide sets, Spark's method is not at the optimum: with the elastic net
on two classes it keeps 29 coefficients where the optimum has 8. So what is printed is compared
with both run to the end, and after ten iterations with what Spark prints at the end.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from pyspark.find_spark_home import _find_spark_home
from pyspark.ml.classification import LogisticRegression

from tests.parity.objective import Array, Setting, objective

DATA = Path(_find_spark_home()) / "data" / "mllib"
SPARKS, OURS = "pyspark.ml.classification", "sparklr"

LOAD = """
from pyspark.ml.classification import LogisticRegression

# Load training data
training = spark.read.format("libsvm").load("data/mllib/sample_libsvm_data.txt")
"""

# Two of the guide's examples: the second says that it goes on from the first.
TWO = f"""{LOAD}
lr = LogisticRegression(maxIter=10, regParam=0.3, elasticNetParam=0.8)

# Fit the model
lrModel = lr.fit(training)

# Print the coefficients and intercept for logistic regression
print("Coefficients: " + str(lrModel.coefficients))
print("Intercept: " + str(lrModel.intercept))

# Extract the summary from the returned LogisticRegressionModel instance trained
# in the earlier example
trainingSummary = lrModel.summary

# Obtain the objective per iteration
objectiveHistory = trainingSummary.objectiveHistory
print("objectiveHistory:")
for objective in objectiveHistory:
    print(objective)

# Obtain the receiver-operating characteristic as a dataframe and areaUnderROC.
trainingSummary.roc.show()
print("areaUnderROC: " + str(trainingSummary.areaUnderROC))

# Set the model threshold to maximize F-Measure
fMeasure = trainingSummary.fMeasureByThreshold
maxFMeasure = fMeasure.groupBy().max('F-Measure').select('max(F-Measure)').head()
bestThreshold = fMeasure.where(fMeasure['F-Measure'] == maxFMeasure['max(F-Measure)']) \\
    .select('threshold').head()['threshold']
lr.setThreshold(bestThreshold)
print("Threshold: " + str(lr.getThreshold()))  # this line is ours
"""

MULTINOMIAL = f"""{LOAD}
# We can also use the multinomial family for binary classification
mlr = LogisticRegression(maxIter=10, regParam=0.3, elasticNetParam=0.8, family="multinomial")

# Fit the model
mlrModel = mlr.fit(training)

# Print the coefficients and intercepts for logistic regression with multinomial family
print("Multinomial coefficients: " + str(mlrModel.coefficientMatrix))
print("Multinomial intercepts: " + str(mlrModel.interceptVector))
"""

THREE = """
from pyspark.ml.classification import LogisticRegression

# Load training data
training = spark \\
    .read \\
    .format("libsvm") \\
    .load("data/mllib/sample_multiclass_classification_data.txt")

lr = LogisticRegression(maxIter=10, regParam=0.3, elasticNetParam=0.8)

# Fit the model
lrModel = lr.fit(training)

# Print the coefficients and intercept for multinomial logistic regression
print("Coefficients: \\n" + str(lrModel.coefficientMatrix))
print("Intercept: " + str(lrModel.interceptVector))

trainingSummary = lrModel.summary

# Obtain the objective per iteration
objectiveHistory = trainingSummary.objectiveHistory
print("objectiveHistory:")
for objective in objectiveHistory:
    print(objective)

# for multiclass, we can inspect metrics on a per-label basis
print("False positive rate by label:")
for i, rate in enumerate(trainingSummary.falsePositiveRateByLabel):
    print("label %d: %s" % (i, rate))

print("True positive rate by label:")
for i, rate in enumerate(trainingSummary.truePositiveRateByLabel):
    print("label %d: %s" % (i, rate))

print("Precision by label:")
for i, prec in enumerate(trainingSummary.precisionByLabel):
    print("label %d: %s" % (i, prec))

print("Recall by label:")
for i, rec in enumerate(trainingSummary.recallByLabel):
    print("label %d: %s" % (i, rec))

print("F-measure by label:")
for i, f in enumerate(trainingSummary.fMeasureByLabel()):
    print("label %d: %s" % (i, f))

accuracy = trainingSummary.accuracy
falsePositiveRate = trainingSummary.weightedFalsePositiveRate
truePositiveRate = trainingSummary.weightedTruePositiveRate
fMeasure = trainingSummary.weightedFMeasure()
precision = trainingSummary.weightedPrecision
recall = trainingSummary.weightedRecall
print("Accuracy: %s\\nFPR: %s\\nTPR: %s\\nF-measure: %s\\nPrecision: %s\\nRecall: %s"
      % (accuracy, falsePositiveRate, truePositiveRate, fMeasure, precision, recall))
"""

# Not Spark's: thresholds, evaluation, bounds, and saving and loading, with what they print.
THE_REST = """
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.ml.linalg import Matrices, Vectors

rows = [(1.0, 1.0, Vectors.dense(0.0, 5.0)), (0.0, 2.0, Vectors.dense(1.0, 2.0)),
        (1.0, 3.0, Vectors.dense(2.0, 1.0)), (0.0, 4.0, Vectors.dense(3.0, 3.0))]
bdf = spark.createDataFrame(rows, ["label", "weight", "features"])
blor = LogisticRegression(weightCol="weight", regParam=0.01, tol=1e-12, maxIter=500)
blor.setThresholds([0.9, 0.1])
blorModel = blor.fit(bdf)
print(blorModel.getThreshold(), blorModel.getThresholds())
print([row.prediction for row in blorModel.transform(bdf).collect()])
blorModel.setThreshold(0.4)
print(blorModel.getThreshold())
print([row.prediction for row in blorModel.transform(bdf).collect()])
summary = blorModel.evaluate(bdf)
print(summary.accuracy, summary.areaUnderROC, summary.weightedFMeasure(2.0))
summary.pr.show()

blor.setLowerBoundsOnCoefficients(Matrices.dense(1, 2, [-0.5, -0.25]))
blor.setUpperBoundsOnCoefficients(Matrices.dense(1, 2, [0.5, 0.25]))
blor.setUpperBoundsOnIntercepts(Vectors.dense(0.75))
bounded = blor.fit(bdf)
print(bounded.coefficients, bounded.intercept)

data_path = "data/mllib/sample_multiclass_classification_data.txt"
mdf = spark.read.format("libsvm").load(data_path)
mlor = LogisticRegression(regParam=1.0, family="multinomial", tol=1e-12, maxIter=500)
mlor.setLowerBoundsOnCoefficients(Matrices.dense(3, 4, [-0.25] * 12))
mlor.setUpperBoundsOnCoefficients(Matrices.dense(3, 4, [0.25] * 12))
mlor.setThresholds([0.2, 0.3, 0.5])
mlorModel = mlor.fit(mdf)
print(mlorModel.coefficientMatrix)
print(mlorModel.summary.accuracy, mlorModel.summary.fMeasureByLabel(0.5))

blor.save(folder + "/lr")
print(LogisticRegression.load(folder + "/lr").getThreshold())
mlorModel.save(folder + "/lr_model")
model2 = LogisticRegressionModel.load(folder + "/lr_model")
print(model2.coefficientMatrix == mlorModel.coefficientMatrix, model2.getThresholds())
"""


class Run(NamedTuple):
    """What a program printed, and the names it left."""

    text: str
    names: dict[str, Any]


def run(spark: Any, program: str, package: str, **names: Any) -> Run:
    """Run a program whose import is from this package, on the data that came with PySpark."""
    program = program.replace(SPARKS, package).replace("data/mllib/", f"{DATA}/")
    names = {"spark": spark, **names}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(program, "program", "exec"), names)
    return Run(printed.getvalue(), names)


def to_the_end(program: str) -> str:
    assert "maxIter=10," in program
    return program.replace("maxIter=10,", "maxIter=1000, tol=1e-12,")


NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def without_history(text: str) -> tuple[str, list[float]]:
    """The text without the objective at each iteration, of which each method has its own."""
    before, mark, after = text.partition("objectiveHistory:\n")
    if not mark:
        return text, []
    lines = after.splitlines(keepends=True)
    count = next(at for at, line in enumerate(lines) if not NUMBER.fullmatch(line.strip()))
    return before + mark + "".join(lines[count:]), [float(line) for line in lines[:count]]


def words(text: str) -> str:
    """The text but for its numbers and for what depends on how long they are."""
    return re.sub(r"\s|-{2,}", "", NUMBER.sub("#", text))


def assert_prints_the_same(ours: str, theirs: str, atol: float = 1e-12) -> None:
    """The same words, and numbers that agree to four digits; of the history both its ends."""
    (ours, history), (theirs, its) = without_history(ours), without_history(theirs)
    assert words(ours) == words(theirs)
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (ours, theirs)]
    assert numbers[0]
    np.testing.assert_allclose(numbers[0], numbers[1], rtol=5e-5, atol=atol)
    assert bool(history) == bool(its)
    if history:
        np.testing.assert_allclose(history[0], its[0], rtol=1e-12)
        assert history[-1] <= its[-1] * (1 + 1e-9)


PROGRAMS = {"two classes": TWO, "two as many": MULTINOMIAL, "three classes": THREE}


@pytest.fixture(scope="module")
def sparks_end(spark: Any) -> dict[str, Run]:
    """What Spark's own prints when run to the end."""
    return {name: run(spark, to_the_end(text), SPARKS) for name, text in PROGRAMS.items()}


@pytest.fixture(scope="module")
def as_it_stands(spark: Any) -> dict[str, dict[str, Run]]:
    """What ours prints, and Spark's own, in ten iterations."""
    return {
        package: {name: run(spark, text, package) for name, text in PROGRAMS.items()}
        for package in (OURS, SPARKS)
    }


@pytest.mark.parametrize("name", PROGRAMS)
def test_run_to_the_end_the_guide_prints_what_spark_prints(
    spark: Any, sparks_end: dict[str, Run], name: str
) -> None:
    ours = run(spark, to_the_end(PROGRAMS[name]), OURS)
    assert_prints_the_same(ours.text, sparks_end[name].text)


@pytest.mark.parametrize("name", PROGRAMS)
def test_in_ten_iterations_the_guide_prints_what_spark_prints_in_the_end(
    as_it_stands: dict[str, dict[str, Run]], sparks_end: dict[str, Run], name: str
) -> None:
    assert_prints_the_same(as_it_stands[OURS][name].text, sparks_end[name].text)


def arrays(frame: Any) -> tuple[Array, Array, Array]:
    """Features, labels and weights of one."""
    rows = frame.collect()
    labels = np.array([row.label for row in rows])
    return np.array([row.features.toArray() for row in rows]), labels, np.ones(len(labels))


@pytest.mark.parametrize("name", PROGRAMS)
def test_in_ten_iterations_the_guide_ends_as_low_as_spark(
    as_it_stands: dict[str, dict[str, Run]], name: str
) -> None:
    values = []
    for package in (OURS, SPARKS):
        names = as_it_stands[package][name].names
        model = names["lrModel"] if "lrModel" in names else names["mlrModel"]
        family = "binomial" if model.coefficientMatrix.numRows == 1 else "multinomial"
        setting = Setting(family=family, regParam=0.3, elasticNetParam=0.8)
        coefficients = model.coefficientMatrix.toArray(), model.interceptVector.toArray()
        values.append(objective(*coefficients, *arrays(names["training"]), setting))
    assert values[0] <= values[1] * (1 + 1e-9)


def test_thresholds_bounds_and_saved_models_print_what_spark_prints(
    spark: Any, tmp_path: Path
) -> None:
    ours, theirs = (
        run(spark, THE_REST, package, folder=str(tmp_path / package)).text
        for package in (OURS, SPARKS)
    )
    # Within bounds Spark stops 2e-5 from the optimum, at an objective 5e-11 above ours.
    assert_prints_the_same(ours, theirs, atol=5e-5)


# What the docstring shows and ours does not, with what ours shows.
DIFFERENT = {
    # After setThreshold(0.1): here `evaluate` follows at once and the summary of the fit stays
    # what it was, where Spark's JVM knows nothing of it before `transform`, and then both follow.
    "blorModel.evaluate(bdf).accuracy == blorModel.summary.accuracy\n": "False\n",
}


class Checker(doctest.OutputChecker):
    """Takes True for 1, as Spark's matrices from the JVM print whether they are transposed."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, re.sub(r", True\)$", ", 1)", got), optionflags)


@pytest.mark.parametrize("package", [SPARKS, OURS])
def test_the_docstring_of_sparks_class_holds_for_ours(
    spark: Any, tmp_path: Path, package: str
) -> None:
    """Of the installed PySpark, with the output it expects; Spark's own shows that it can hold."""
    text = str(LogisticRegression.__doc__).replace("data/mllib/", f"{DATA}/")
    source = importlib.import_module(package)
    names = {
        "spark": spark,
        "sc": spark.sparkContext,
        "temp_path": str(tmp_path),
        "LogisticRegression": source.LogisticRegression,
        "LogisticRegressionModel": source.LogisticRegressionModel,
    }
    test = doctest.DocTestParser().get_doctest(text, names, "LogisticRegression", None, None)
    assert len(test.examples) > 40
    assert {example.source for example in test.examples} >= set(DIFFERENT)
    for example in test.examples if package == OURS else []:
        example.want = DIFFERENT.get(example.source, example.want)
    told = io.StringIO()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(Checker(), optionflags=flags)
    failed, _ = runner.run(test, out=told.write, clear_globs=False)
    assert failed == 0, told.getvalue()
