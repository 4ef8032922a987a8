"""Tries the sparklr that is installed: a fit, its scores, and the model saved and loaded.

    python .ci/smoke.py v1.0.0

Fails if the version is another, or if what is imported is a checkout. Needs Java.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from pyspark.sql import SparkSession

import sparklr
from sparklr import LogisticRegression, LogisticRegressionModel

# Label 1 becomes likelier with x, and no value of x separates the labels.
ROWS = [(float(x), float(label)) for x in range(-4, 5) for label in (0, x > 0, x > -3)]


def refuse_another(tag: str) -> None:
    """End the program if what is imported is not the release of the tag."""
    if not tag == f"v{sparklr.__version__}" == f"v{version('sparklr')}":
        sys.exit(f"{tag} was to be tried, but sparklr {sparklr.__version__} is installed")
    if (Path(sparklr.__file__).parents[1] / "pyproject.toml").exists():
        sys.exit(f"{sparklr.__file__} is a checkout's: install an archive")


def smoke(spark: SparkSession, folder: Path) -> None:
    """Fit, score, save and load."""
    frame = spark.createDataFrame(ROWS, ["x", "label"])
    model = LogisticRegression(featuresCols=["x"]).fit(frame)
    print(model.summary)
    if not model.fitSummary.stopReason.startswith("converged") or model.coefficients[0] <= 0:
        sys.exit("the fit is wrong")
    scored = model.transform(frame).select("probability", "prediction").collect()
    path = str(folder / "model")
    model.save(path)
    again = LogisticRegressionModel.load(path).transform(frame)
    if again.select("probability", "prediction").collect() != scored:
        sys.exit("the loaded model scores otherwise")


def main() -> None:
    """Try it in a session of this machine."""
    refuse_another(sys.argv[1])
    spark = SparkSession.builder.master("local[2]").getOrCreate()
    with tempfile.TemporaryDirectory() as folder:
        smoke(spark, Path(folder))
    spark.stop()


if __name__ == "__main__":
    main()
