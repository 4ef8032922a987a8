"""The public names. A change here is a change for every user."""

from __future__ import annotations

from pyspark.ml import tuning as spark_tuning

import sparklr
import sparklr.solvers
from sparklr import distributions, tuning


def test_the_package_exports_these_names_and_no_others() -> None:
    assert sparklr.__all__ == [
        "BinaryLogisticRegressionSummary",
        "BinaryLogisticRegressionTrainingSummary",
        "ConvergenceWarning",
        "LogisticRegression",
        "LogisticRegressionEstimator",
        "LogisticRegressionModel",
        "LogisticRegressionSummary",
        "LogisticRegressionTrainingSummary",
        "PackedRows",
        "SeparationError",
        "SeparationWarning",
        "pack",
    ]


def test_distributions_export_these_names_and_no_others() -> None:
    assert distributions.__all__ == [
        "MeanFieldClassifier",
        "MeanFieldModel",
        "MeanFieldTrainingSummary",
    ]


def test_spark_s_classes_for_searches_are_at_hand() -> None:
    for name in ("CrossValidatorModel", "ParamGridBuilder", "TrainValidationSplitModel"):
        assert getattr(tuning, name) is getattr(spark_tuning, name)
        assert name in tuning.__all__


def test_an_older_name_is_another_of_the_grid() -> None:
    assert tuning.regParamGrid is tuning.reg_param_grid


def test_spark_s_own_name_is_another_of_the_estimator() -> None:
    assert sparklr.LogisticRegression is sparklr.LogisticRegressionEstimator


def test_the_solvers_export_these_names_and_no_others() -> None:
    assert sparklr.solvers.__all__ == [
        "Answer",
        "BlockInverse",
        "Box",
        "Order",
        "Preconditioner",
        "Query",
        "Reason",
        "Solution",
        "Solver",
        "Stop",
        "lbfgs",
        "lockstep",
        "newton",
        "owlqn",
        "proximal_newton",
        "pseudo_gradient",
        "solve_symmetric",
    ]


def test_every_exported_name_exists() -> None:
    for package in (sparklr, sparklr.solvers, distributions):
        for name in package.__all__:
            assert hasattr(package, name), name
