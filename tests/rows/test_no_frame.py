"""What is not a frame of Spark's is refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from pyspark.errors import IllegalArgumentException

from sparklr import LogisticRegressionEstimator
from tests.made_models import made_model

CALLS: dict[str, Callable[[object], object]] = {
    "fit": lambda rows: LogisticRegressionEstimator().fit(rows),  # type: ignore[arg-type]
    "evaluate": lambda rows: made_model().evaluate(rows),  # type: ignore[arg-type]
    "transform": lambda rows: made_model().transform(rows),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("given", "kind"),
    [(pd.DataFrame({"label": [1.0]}), "pandas.DataFrame"), (np.zeros((2, 2)), "numpy.ndarray"),
     ("text", "str"), (None, "NoneType")],
)  # fmt: skip
def test_other_data_sets_are_refused(
    call: Callable[[object], object], given: object, kind: str
) -> None:
    with pytest.raises(TypeError, match=rf"DataFrame of Spark, but got a {kind}\. Make one") as no:
        call(given)
    assert isinstance(no.value, IllegalArgumentException)
