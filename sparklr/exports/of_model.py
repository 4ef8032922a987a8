"""The members of a model that take it elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pyspark.ml.classification import LogisticRegressionModel as SparkModel
from pyspark.sql import DataFrame, SparkSession

from sparklr.exports.card import card_text, draw
from sparklr.exports.onnx_graph import Onnx, onnx_model
from sparklr.exports.sklearn_model import sklearn_model
from sparklr.exports.sql import Nulls, SqlScores, sql_scores
from sparklr.fitting.packed_rows import PackedRows
from sparklr.inference.of_model import InferenceOnRows, page_of
from sparklr.params import LogisticRegressionParams, check_thresholds, offset_name
from sparklr.scoring.numbers import ModelNumbers
from sparklr.scoring.offset import refuse_offset
from sparklr.spark.errors import InvalidValueError
from sparklr.summary import LogisticRegressionSummary, LogisticRegressionTrainingSummary

if TYPE_CHECKING:
    from sparklr.scoring.scorer import Scorer
    from sparklr.spark.classic import SparkModelCache


class Exports:
    """The model as SQL, ONNX, and as models of scikit-learn and Spark."""

    _numbers: ModelNumbers

    if TYPE_CHECKING:  # the model has these

        @property
        def _scorer(self) -> Scorer: ...
        @property
        def _cache(self) -> SparkModelCache: ...
        @property
        def hasSummary(self) -> bool: ...
        @property
        def summary(self) -> LogisticRegressionTrainingSummary: ...
        def evaluate(self, dataset: DataFrame | PackedRows) -> LogisticRegressionSummary: ...

    def toSql(
        self,
        columns: Sequence[str] | None = None,
        *,
        quote: str = '"',
        nulls: Nulls = "any",
    ) -> SqlScores:
        """Return the scores as expressions of standard SQL, for tables with a column per feature.

        Thresholds are the model's; `offsetCol` is a column of the table. A row with a missing
        value has NULL scores, and so has one with NaN or an infinite value.

        Parameters
        ----------
        columns : sequence of str, optional
            The column of each feature, in the order of the features; by default their names.
        quote : str
            What stands around names: '"' as in standard SQL, '`' as in Spark and MySQL; with ''
            the columns are expressions.
        nulls : {"any", "used"}
            A NULL in which columns makes a score NULL: in any, as in `transform`, or in those with
            a coefficient, and then no other column is named.

        Returns
        -------
        SqlScores
            `margins`, `probabilities` and `prediction`, and `query(table)`, which has them all.

        Examples
        --------
        >>> from pyspark.ml.linalg import Matrices, Vectors
        >>> two = Matrices.dense(1, 2, [0.5, -2.0])
        >>> model = LogisticRegressionModel(two, Vectors.dense(0.25), 2, False)
        >>> print(model.toSql(["age", "dose"]).margins[0])
        2.5E-1 + 5E-1 * "age" - 2E0 * "dose"
        """
        numbers, params = self._numbers, cast(LogisticRegressionParams, self)
        refuse_averaged("toSql", params)
        if columns is None and numbers.names is None:
            raise InvalidValueError(
                "The features of this model have no names, so toSql needs to be told the columns: "
                f"toSql(columns=[...]), one for each of the {numbers.features} features."
            )
        names = cast("Sequence[str]", numbers.names if columns is None else columns)
        cuts, offset = self._scorer.thresholds, offset_name(params)
        return sql_scores(numbers, cuts, names, offset=offset, quote=quote, nulls=nulls)

    def toOnnx(self, dtype: Literal["double", "float"] = "double") -> Onnx:
        """Return the model as a graph of ONNX, for runtimes without Spark and Python.

        The input `features` has a row of features per row, and with `offsetCol` there is an input
        `offset` (n, 1). The outputs are `margin`, `probability` (a column per label) and
        `prediction`, with the model's thresholds. Names of the features and labels are among the
        file's metadata.

        Parameters
        ----------
        dtype : {"double", "float"}
            Numbers of 64 bits, which give what `transform` gives, or of 32 bits, for runtimes that
            have no others, as those of browsers: then features have seven digits.

        Returns
        -------
        onnx.ModelProto
            The model; `onnx.save(model, path)` writes it.

        Examples
        --------
        >>> from pyspark.ml.linalg import Matrices, Vectors
        >>> two = Matrices.dense(1, 2, [0.5, -2.0])
        >>> model = LogisticRegressionModel(two, Vectors.dense(0.25), 2, False)
        >>> graph = model.toOnnx().graph
        >>> [node.name for node in graph.input], [node.name for node in graph.output]
        (['features'], ['margin', 'probability', 'prediction'])
        """
        numbers, params = self._numbers, cast(LogisticRegressionParams, self)
        refuse_averaged("toOnnx", params)
        if dtype not in ("double", "float"):
            raise InvalidValueError(
                f"dtype={dtype!r} is not allowed: it must be 'double' or 'float'."
            )
        facts: dict[str, object] = {
            "features": numbers.feature_names(params.getFeaturesCol()),
            "labels": list(range(numbers.classes)),
            "offset": offset_name(params),
        }
        return onnx_model(
            numbers,
            self._scorer.thresholds,
            offset=offset_name(params) is not None,
            double=dtype == "double",
            facts=facts,
        )

    def card(
        self, dataset: DataFrame | PackedRows | None = None, pictures: str | Path | None = None
    ) -> str:
        """Return a model card: data, fit, coefficients, measures and versions, in Markdown.

        Parameters
        ----------
        dataset : DataFrame or PackedRows, optional
            Rows whose labels measure the predictions. By default those of the fit, which a loaded
            model does not have: then the card has no measures of predictions.
        pictures : str or Path, optional
            A folder for pictures of the curves and coefficients, which is made. The card has the
            paths as they are given, so write it where these lead to the folder.

        Returns
        -------
        str
            The text.

        Examples
        --------
        >>> from pyspark.ml.linalg import Matrices, Vectors
        >>> two = Matrices.dense(1, 2, [0.5, -2.0])
        >>> model = LogisticRegressionModel(two, Vectors.dense(0.25), 2, False)
        >>> print(model.card().splitlines()[0])
        # Logistic regression, binomial, of 'label'
        """
        where = "the rows of the fit" if dataset is None else "other rows"
        evaluation = None if dataset is None else self.evaluate(dataset)
        if dataset is None and self.hasSummary:
            evaluation = self.summary
        paths = {} if pictures is None else draw(evaluation, pictures)
        params = cast(LogisticRegressionParams, self)
        return card_text(page_of(cast(InferenceOnRows, self)), params, evaluation, where, paths)

    def toSklearn(self) -> Any:
        """Return a scikit-learn LogisticRegression with the same probabilities.

        Its `predict` returns the most probable class: thresholds are dropped. If the features have
        names, it knows them (`feature_names_in_`), and takes pandas frames.

        Returns
        -------
        sklearn.linear_model.LogisticRegression
            The model; `offsetCol` and models of a single label are refused.

        Examples
        --------
        >>> from pyspark.ml.linalg import Matrices, Vectors
        >>> two = Matrices.dense(1, 2, [0.5, -2.0])
        >>> model = LogisticRegressionModel(two, Vectors.dense(0.25), 2, False)
        >>> rows = [[1.0, 0.5], [2.0, 0.0]]
        >>> model.toSklearn().predict_proba(rows)[:, 1].round(3).tolist()
        [0.438, 0.777]
        """
        refuse_offset("toSklearn", offset_name(cast(LogisticRegressionParams, self)))
        return sklearn_model(self._numbers)

    def toSpark(self) -> SparkModel:
        """Return a Spark model with the same numbers and Params, for tools that need one.

        It takes a vector column. Params that Spark does not have are dropped, but a model with
        `offsetCol` is refused. It needs a classic session.

        Returns
        -------
        pyspark.ml.classification.LogisticRegressionModel
            The model.

        Examples
        --------
        >>> from pyspark.ml.linalg import Matrices, Vectors
        >>> two = Matrices.dense(1, 2, [0.5, -2.0])
        >>> model = LogisticRegressionModel(two, Vectors.dense(0.25), 2, False)
        >>> twin = model.setThreshold(0.4).toSpark()
        >>> twin.intercept, twin.getThreshold()
        (0.25, 0.4)
        """
        params = cast(LogisticRegressionParams, self)
        refuse_offset("toSpark", offset_name(params))
        twin = self._cache.spark_model(SparkSession.builder.getOrCreate())
        if twin is None:
            raise RuntimeError(
                "toSpark makes a model in Spark's JVM, but this session has no JVM (for example, "
                "Spark Connect). Call toSpark in a classic session."
            )
        for param in params.params:
            if params.isSet(param) and twin.hasParam(param.name):
                twin._set(**{param.name: params.getOrDefault(param)})
        twin._transfer_params_to_java()
        return twin


def refuse_averaged(what: str, params: LogisticRegressionParams) -> None:
    """Refuse to export means over a posterior; refuse thresholds that disagree, too."""
    check_thresholds(params)
    if params.getAveraged():
        raise InvalidValueError(
            f"{what} has the probability at the coefficients, but with averaged=True the model's "
            "is a mean over their posterior. Call setAveraged(False) to export the former."
        )
