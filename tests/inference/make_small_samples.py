"""Make small_samples.json: what statsmodels makes of Student's t, of F, and of influence.

From the root of the repository, with statsmodels 0.15::

    python -m tests.inference.make_small_samples

The fits are statsmodels' GLM with use_t=True, whose degrees of freedom are n - k. Terms are in the
order of the references: features, then the intercept. R's numbers by t for clusters are among the
references.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from tests.inference.references import FOLDER, data, reference

FILE = FOLDER / "small_samples.json"
TIGHT: dict[str, Any] = {"tol": 1e-14, "tol_criterion": "params", "maxiter": 100}


def glm(name: str) -> GLM:
    """The model of a case, with weights as counts."""
    rows = data(name)
    matrix = np.column_stack((rows.matrix, np.ones(len(rows.labels))))
    weights = {} if rows.weights is None else {"freq_weights": rows.weights}
    return GLM(rows.labels, matrix, family=Binomial(), **weights)


def by_t(fit: Any) -> dict[str, Any]:
    """P-values and 95% limits."""
    return {"p": fit.pvalues.tolist(), "limits": fit.conf_int().tolist()}


def small_samples() -> dict[str, Any]:
    """All cases."""
    found: dict[str, Any] = {}
    for name in ("birthwt", "birthwt_weighted"):
        model = glm(name)
        plain = model.fit(use_t=True, **TIGHT)
        robust = model.fit(use_t=True, cov_type="HC0", **TIGHT)
        race = np.eye(len(plain.params))[[reference(name)["columns"].index(one)
                                          for one in ("race2", "race3")]]  # fmt: skip
        test = plain.wald_test(race, use_f=True, scalar=True)
        found[name] = {
            "degrees": float(plain.df_resid),
            "model": by_t(plain),
            "HC0": by_t(robust),
            "race": {"statistic": 2 * float(test.statistic), "p": float(test.pvalue)},
        }
    influence = glm("birthwt").fit(**TIGHT).get_influence()
    found["birthwt"]["influence"] = {
        "leverage": influence.hat_matrix_diag.tolist(),
        "standardizedPearsonResidual": influence.resid_studentized.tolist(),
        "cooksDistance": influence.cooks_distance[0].tolist(),
    }
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(small_samples()) + "\n", encoding="utf-8")
