"""Pictures of a search over regParam: the scores of its maps, and the path of the coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from pyspark.ml import Model, PipelineModel, Transformer
from pyspark.ml.tuning import CrossValidatorModel, TrainValidationSplitModel

from sparklr.arrays import Array, IntArray
from sparklr.display import plots
from sparklr.model import LogisticRegressionModel
from sparklr.search.trials import last_stage
from sparklr.spark.errors import InvalidTypeError, InvalidValueError
from sparklr.spark.types import ParamMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SearchModel: TypeAlias = CrossValidatorModel | TrainValidationSplitModel
NAMED = 10  # features of a path that are named


def plot_scores(model: SearchModel, ax: Axes | None = None) -> Axes:
    """Draw the mean metric of each map over regParam, and mark the map that was chosen.

    Of a cross-validation the bars are one standard error to both sides, by the folds. Maps that
    differ in other Params too have a line for each setting of these.

    Parameters
    ----------
    model : CrossValidatorModel or TrainValidationSplitModel
        The result of a search over a LogisticRegressionEstimator, also as a stage of a Pipeline.
    ax : matplotlib Axes, optional
        The axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib Axes
        The axes with the lines.
    """
    found = _Search.of(model, "plot_scores")
    means = np.array(_metrics(model))
    errors, spread = _errors(model)
    curves, chosen = [], (0, 0)
    for number, setting in enumerate(dict.fromkeys(found.settings)):
        at = found.places(setting)
        its = None if errors is None else errors[at]
        curves.append(plots.Scores(setting, found.penalties[at], means[at], its))
        if found.chosen in at:
            chosen = number, int(np.flatnonzero(at == found.chosen)[0])
    evaluator = model.getEvaluator()
    metric = evaluator.getMetricName() if hasattr(evaluator, "getMetricName") else "metric"
    return plots.plot_scores(plots.axes(ax), curves, chosen, f"{metric}{spread}")


def plot_path(model: SearchModel, ax: Axes | None = None) -> Axes:
    """Draw the coefficients of a search over regParam, as means of the folds' models.

    They are per standard deviation of their feature, unless the search was loaded, which does not
    know the deviations. The largest are named. Of maps that differ in other Params too, those with
    the Params of the chosen map are drawn. The search must have collectSubModels=True.

    Parameters
    ----------
    model : CrossValidatorModel or TrainValidationSplitModel
        The result of a search over a LogisticRegressionEstimator of two classes.
    ax : matplotlib Axes, optional
        The axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib Axes
        The axes with a line per feature.
    """
    found = _Search.of(model, "plot_path")
    if model.subModels is None:
        raise InvalidValueError(
            "plot_path needs the models of all maps, and this search has kept none: set "
            "collectSubModels=True before the search, and save it with the option persistSubModels."
        )
    at = found.places(found.settings[found.chosen])
    folds = model.subModels if isinstance(model, CrossValidatorModel) else [model.subModels]
    each = [[_coefficients(fold[place]) for place in at] for fold in folds]
    if len({len(its) for fold in each for its in fold}) > 1:
        raise InvalidValueError(
            "The models of the folds have different features, so their coefficients have no mean."
        )
    values, what = np.mean(each, axis=0), "coefficient"
    if found.best.hasSummary:
        values, what = (
            values * found.best.summary.featureDeviations,
            "coefficient per standard deviation",
        )
    size = np.abs(values).max(axis=0)
    order = np.argsort(-size, kind="stable")
    order = order[size[order] > 0]
    names = [found.best.featureNames[j] for j in order[:NAMED]]
    if len(folds) > 1:
        what = f"{what}, mean of {len(folds)} folds"
    penalty = float(found.penalties[found.chosen])
    drawn = values[:, order]
    return plots.plot_path(plots.axes(ax), found.penalties[at], drawn, names, penalty, what)


@dataclass(frozen=True, eq=False)
class _Search:
    """The maps of a search: penalties (m,), the other Params in words, and the chosen one."""

    penalties: Array
    settings: Sequence[str]
    chosen: int
    best: LogisticRegressionModel

    @staticmethod
    def of(model: SearchModel, what: str) -> _Search:
        """Read a search, or refuse what is none over our estimator and several penalties."""
        if not isinstance(model, (CrossValidatorModel, TrainValidationSplitModel)):
            raise InvalidTypeError(
                f"{what} takes the model of a CrossValidator or TrainValidationSplit, but got a "
                f"{type(model).__name__}."
            )
        ours, best = last_stage(model.getEstimator()), _last(model.bestModel)
        if ours is None or not isinstance(best, LogisticRegressionModel):
            raise InvalidTypeError(f"{what} is for searches over a LogisticRegressionEstimator.")
        maps = model.getEstimatorParamMaps()
        penalties = np.array([ours.copy(dict(extra)).getRegParam() for extra in maps])
        if len(set(penalties)) < 2:
            raise InvalidValueError(
                f"{what} draws over regParam, but all maps have regParam={penalties[0]:g}. Search "
                "over several values, for example those of reg_param_grid."
            )
        settings = [_setting(extra, ours.uid) for extra in maps]
        return _Search(penalties, settings, _chosen(model, maps, ours.uid, best), best)

    def places(self, setting: str) -> IntArray:
        """Return the maps with this setting of the other Params, by ascending penalty."""
        at = np.flatnonzero(np.array([its == setting for its in self.settings]))
        return at[np.argsort(self.penalties[at], kind="stable")]


def _chosen(
    model: SearchModel, maps: Sequence[ParamMap], ours: str, best: LogisticRegressionModel
) -> int:
    """Return the map of the best model: by its Params, and if these are equal, by its metric."""
    same = [
        at
        for at, extra in enumerate(maps)
        if all(
            best.getOrDefault(param.name) == value
            for param, value in extra.items()
            if param.parent == ours and best.hasParam(param.name)
        )
    ]
    sign = 1.0 if model.getEvaluator().isLargerBetter() else -1.0
    scores = np.nan_to_num(sign * np.array(_metrics(model)), nan=-np.inf)
    return max(same, key=lambda at: float(scores[at]))


def _setting(extra: ParamMap, ours: str) -> str:
    others = [
        f"{param.name}={value}"
        for param, value in extra.items()
        if not (param.name == "regParam" and param.parent == ours)
    ]
    return ", ".join(sorted(others))


def _metrics(model: SearchModel) -> list[float]:
    if isinstance(model, CrossValidatorModel):
        return list(model.avgMetrics)
    return list(model.validationMetrics)


def _errors(model: SearchModel) -> tuple[Array | None, str]:
    """Return the standard errors of the means, as far as they are known, and words for them."""
    if not isinstance(model, CrossValidatorModel):
        return None, " on the validation rows"
    folds = model.getNumFolds()
    if not model.stdMetrics or folds < 2:
        return None, f", mean of {folds} folds"
    return np.array(model.stdMetrics) / np.sqrt(
        folds - 1
    ), f", mean of {folds} folds ± standard error"


def _last(model: Model) -> Transformer:
    return model.stages[-1] if isinstance(model, PipelineModel) else model


def _coefficients(model: Model) -> Array:
    ours = _last(model)
    assert isinstance(ours, LogisticRegressionModel)
    values = ours.numbers.arrays[0]
    if len(values) > 1:
        raise InvalidValueError("plot_path is for two classes: several have a path per class.")
    return np.asarray(values[0])
