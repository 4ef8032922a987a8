"""What a mean-field fit refuses: before any job if the metadata tell, else after packing."""

from __future__ import annotations

from sparklr.arrays import MEGABYTE
from sparklr.mean_field.params import MeanFieldParams
from sparklr.spark.errors import InvalidValueError

MOST_FEATURES = 1_000  # the metric of the particles is a matrix of this side on the driver
MOST_MEGABYTES = 64  # of the points of all particles, which every reading takes to the rows


def check_params(params: MeanFieldParams) -> None:
    """Refuse values that do not go together."""
    params.check_all()
    steps, snapshots = params.getMaxIter(), params.getNumSnapshots()
    if steps < 5 * snapshots:
        raise InvalidValueError(
            f"numSnapshots={snapshots} needs maxIter={5 * snapshots} or more, as they are taken in "
            f"the last fifth of the steps, but maxIter={steps}. Raise maxIter."
        )


def check_classes(params: MeanFieldParams, classes: int) -> None:
    """Refuse labels of more than two classes."""
    if classes > 2:
        raise InvalidValueError(
            f"Column '{params.getLabelCol()}' has {classes} classes, but MeanFieldClassifier is "
            "for two: labels 0 and 1. Use LogisticRegressionEstimator, or wrap this estimator in "
            "pyspark.ml.classification.OneVsRest."
        )


def check_width(params: MeanFieldParams, features: int) -> None:
    """Refuse more features, or more points of particles, than the driver can move."""
    if features > MOST_FEATURES:
        raise InvalidValueError(
            f"There are {features:,} features, but MeanFieldClassifier takes at most "
            f"{MOST_FEATURES:,}. Reduce them, e.g. with pyspark.ml.feature.PCA, or use "
            "LogisticRegressionEstimator."
        )
    particles, beads = params.getNumNeurons(), params.measure.beads
    size = 8 * particles * beads * (features + 2) / MEGABYTE
    if size > MOST_MEGABYTES:
        points = f" with pathPoints={beads}" if beads > 1 else ""
        raise InvalidValueError(
            f"numNeurons={particles:,}{points} and {features:,} features are {size:,.0f} MB of "
            f"numbers, which every pass takes to the rows; the limit is {MOST_MEGABYTES} MB. Lower "
            "numNeurons" + (" or pathPoints." if beads > 1 else ".")
        )
