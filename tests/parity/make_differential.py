"""Draw cases, fit them with Spark's own estimator and write differential.json and thresholds.json.

From the root of the repository, with Spark 4.3 (some minutes on two cores)::

    python -m tests.parity.make_differential

Hypothesis draws the same cases in every run, but another version of it may draw others: so each
is written down whole, with a hash of the data and Params that follow from it. Spark's fits are
tight; as they may stop short of the optimum, each carries its objective, recomputed by
objective.py. Every third one has what Spark's summary says of it.

The reading of both files is here too, for the tests.
"""

from __future__ import annotations

import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings

from tests.parity.agreement import Outcome
from tests.parity.cases import FAULTS, REPEATABLE, Case, cases, drawn, faulty_cases
from tests.parity.make_spark import NO_NATIVE_BLAS
from tests.parity.measures import measures
from tests.parity.objective import Array
from tests.parity.sequences import STEPS, walked

FOLDER = Path(__file__).parent
FITS = 320
REFUSED = 4  # of each fault
EVALUATED = 3  # the summary of every third case
SEQUENCES = 400
AT_ONCE = 4  # a small fit mostly waits for Spark's scheduler
TIGHT = {"tol": 1e-12, "maxIter": 200}


@dataclass(frozen=True, eq=False)
class Recorded:
    """A case, the digest it had, and what Spark made of it."""

    case: Case
    digest: str
    theirs: Outcome
    objective: float
    measures: dict[str, Array] | None


def read_lines(name: str) -> dict[str, list[dict[str, Any]]]:
    """The entries of a file of records, by kind."""
    found: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return found


@cache
def read_fits() -> list[Recorded]:
    """What Spark's fits came to."""
    return [_recorded(entry) for entry in read_lines("differential.json")["fits"]]


@cache
def read_refused() -> list[tuple[Case, str]]:
    """Cases that Spark refuses, and their digests."""
    entries = read_lines("differential.json")["refused"]
    return [(Case.of(entry["case"]), entry["digest"]) for entry in entries]


def _recorded(entry: dict[str, Any]) -> Recorded:
    chances = np.array(entry["probability"])
    if chances.ndim == 1:
        chances = np.column_stack((1.0 - chances, chances))
    outcome = Outcome(
        np.array(entry["coefficients"]),
        np.array(entry["intercepts"]),
        entry["classes"],
        chances,
        np.array([float(digit) for digit in entry["prediction"]]),
    )
    said = entry.get("measures")
    found = None if said is None else {name: np.array(values) for name, values in said.items()}
    return Recorded(Case.of(entry["case"]), entry["digest"], outcome, entry["objective"], found)


def outcome_of(model: Any, frame: Any) -> Outcome:
    """What a fitted model is, and says of a frame."""
    rows = model.transform(frame).select("probability", "prediction").collect()
    return Outcome(
        model.coefficientMatrix.toArray(),
        model.interceptVector.toArray(),
        model.numClasses,
        np.array([row.probability.toArray() for row in rows]),
        np.array([row.prediction for row in rows]),
    )


def fit_of(spark: Any, case: Case) -> dict[str, Any]:
    """The entry of a case, measures excepted."""
    from pyspark.ml.classification import LogisticRegression

    frame = case.frame(spark)
    model = LogisticRegression(**case.all_params(), **TIGHT).fit(frame)
    made = outcome_of(model, frame)
    chances = made.probability if case.multinomial else made.probability[:, 1]
    return {
        "case": asdict(case),
        "digest": case.digest,
        "coefficients": made.coefficients.tolist(),
        "intercepts": made.intercepts.tolist(),
        "classes": made.classes,
        "objective": made.value(case),
        "probability": np.round(chances, 12).tolist(),
        "prediction": "".join(str(int(label)) for label in made.prediction),
        "model": model,
    }


def told_of(spark: Any, case: Case, *, evaluate: bool) -> dict[str, Any]:
    """The entry of a case."""
    entry = fit_of(spark, case)
    model = entry.pop("model")
    if evaluate:
        said = measures(model.evaluate(case.frame(spark)), curves=case.classes == 2)
        entry["measures"] = {name: _short(values) for name, values in said.items()}
    return entry


def _short(values: Array) -> Any:
    """Lists of twelve digits, where tests allow for an error in the ninth."""
    digits = np.array([float(f"{value:.12g}") for value in values.ravel()])
    return digits.reshape(values.shape).tolist()


def refusal_of(spark: Any, case: Case) -> dict[str, Any]:
    """The entry of a case that Spark refuses."""
    try:
        fit_of(spark, case)
    except Exception as error:
        first = str(error).strip().splitlines()[0]
        said = re.sub(r"(?<=LogisticRegression)_\w+", "", first)  # a uid of this run
        return {"case": asdict(case), "digest": case.digest, "error": said[:200]}
    raise AssertionError(f"Spark fitted {case}")


def drawn_sequences() -> list[Any]:
    """Different sequences of steps."""
    found: dict[str, Any] = {}

    @settings(REPEATABLE, max_examples=SEQUENCES)
    @given(STEPS)
    def collect(steps: Any) -> None:
        found[repr(steps)] = steps

    collect()
    return list(found.values())


def stages(spark: Any, kind: Any) -> dict[str, Any]:
    """An estimator of this class, and a model of it."""
    from pyspark.ml.linalg import Vectors

    rows = [(float(at % 2), Vectors.dense(at**0.5)) for at in range(6)]
    frame = spark.createDataFrame(rows, ["label", "features"])
    return {"estimator": kind(), "model": kind(maxIter=1).fit(frame)}


def write(name: str, version: str, **entries: list[Any]) -> None:
    """One entry in a line."""
    kinds = [
        f'"{kind}": [\n' + ",\n".join(json.dumps(entry) for entry in its) + "\n]"
        for kind, its in entries.items()
    ]
    text = ",\n".join([f'"spark": "{version}"', *kinds])
    (FOLDER / name).write_text("{" + text + "}\n", encoding="utf-8")


def main() -> None:
    """Fit and write all."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.ml.classification import LogisticRegression
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.driver.extraJavaOptions", NO_NATIVE_BLAS)
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        fits = [
            pool.submit(told_of, spark, case, evaluate=number % EVALUATED == 0)
            for number, case in enumerate(drawn(cases(), FITS))
        ]
        refused = [
            pool.submit(refusal_of, spark, case)
            for fault in FAULTS
            for case in drawn(faulty_cases(fault), REFUSED)
        ]
    write(
        "differential.json",
        spark.version,
        fits=[one.result() for one in fits],
        refused=[one.result() for one in refused],
    )
    theirs = stages(spark, LogisticRegression)
    sequences = [
        {"steps": steps, **{name: walked(stage, steps) for name, stage in theirs.items()}}
        for steps in drawn_sequences()
    ]
    write("thresholds.json", spark.version, sequences=sequences)
    spark.stop()


if __name__ == "__main__":
    main()
