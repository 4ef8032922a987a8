"""Programs that Spark's documentation shows, to be run by Spark's package and by ours.

The ML guide's three examples for logistic regression (examples/src/main/python/ml, between the
marks `$example on$` and `$example off$`), and one program of our own for what these leave out. The
data come with PySpark.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pyspark.find_spark_home import _find_spark_home

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


def arrays(frame: Any) -> tuple[Array, Array, Array]:
    """Features, labels and weights of one."""
    rows = frame.collect()
    labels = np.array([row.label for row in rows])
    return np.array([row.features.toArray() for row in rows]), labels, np.ones(len(labels))


def value_of(ran: Run) -> float:
    """The objective of the model that a program of the guide left."""
    model = ran.names["lrModel"] if "lrModel" in ran.names else ran.names["mlrModel"]
    family = "binomial" if model.coefficientMatrix.numRows == 1 else "multinomial"
    setting = Setting(family=family, regParam=0.3, elasticNetParam=0.8)
    coefficients = model.coefficientMatrix.toArray(), model.interceptVector.toArray()
    return objective(*coefficients, *arrays(ran.names["training"]), setting)
