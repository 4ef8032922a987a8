"""The members of a model that are about the distribution of its coefficients."""

from __future__ import annotations

from typing import cast

import numpy as np

from sparklr.arrays import Array
from sparklr.batches.facts import StreamFacts
from sparklr.batches.normal import MOST_FULL
from sparklr.fitting.posterior import no_posterior_for
from sparklr.inference.covariances import FittedModel
from sparklr.inference.diagnostics import FitDiagnostics
from sparklr.inference.of_fit import TableOfFit
from sparklr.inference.posterior import Posterior
from sparklr.inference.posterior_pictures import ScoringModel
from sparklr.params import LogisticRegressionParams
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.saving.estimates import KeptFit
from sparklr.scoring.class_posterior import DRAWS, ClassPosterior
from sparklr.scoring.margin_posterior import MarginPosterior
from sparklr.scoring.outputs import posterior_params
from sparklr.spark.errors import InvalidValueError


class PosteriorOfModel:
    """The posterior, and what outputs are made of it."""

    _posterior: PosteriorNumbers | None
    _summary: TableOfFit | None
    _kept: KeptFit | None
    _stream: StreamFacts | None

    @property
    def posterior(self) -> Posterior:
        """The distribution of the coefficients, if the model was fitted with one."""
        if self._posterior is None and self._stream is not None:
            raise InvalidValueError(
                "This model has no posterior: it has learned from a stream without one. Learn at "
                f"most {MOST_FULL:,} coefficients, with solver='auto'."
            )
        if self._posterior is None:
            raise InvalidValueError(
                "This model has no posterior: it was not fitted with one, or comes from JSON, "
                "which has none. Fit with posterior='gaussian' or 'laplace'."
            )
        return Posterior(cast(ScoringModel, self), self._posterior, self._feature_deviations())

    def _feature_deviations(self) -> Array | None:
        """Return the features' standard deviations in the rows of the fit, if they are known."""
        if self._summary is not None:
            return np.array(cast(FitDiagnostics, self._summary).featureDeviations)
        return None if self._kept is None else self._kept.report.deviation

    def _margin_posterior(self) -> MarginPosterior | ClassPosterior | None:
        """Return what outputs of the posterior are made of, or None if none is wanted."""
        params, numbers = cast(LogisticRegressionParams, self), self._posterior
        asked = posterior_params(params)
        if not asked:
            return None
        if numbers is None:
            raise InvalidValueError(no_posterior_for(asked[0]))
        level, averaged, seed = params.getIntervalLevel(), params.getAveraged(), params.getSeed()
        model = cast(FittedModel, self).numbers
        if model.family.per_class:
            draws = numbers.spread(DRAWS, seed).reshape(
                DRAWS, model.family.margins(model.classes), -1
            )
            return ClassPosterior(draws, level, averaged, seed)
        return MarginPosterior(numbers.mean, numbers.factor, level, averaged, seed)
