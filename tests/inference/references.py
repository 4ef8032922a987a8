"""The data sets of data/ and the reference numbers of references.json, by the name of a case.

    labels, matrix, names, weights = data("birthwt_weighted")
    reference("birthwt_weighted")["standard_errors"]

README.md tells what each key holds and by which conventions. Coefficients, and rows and columns of
covariances, are in the order of ``names`` with the intercept last; those of multinomial fits have
classes 1 .. K-1 one after the other, class 0 being the base.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

FOLDER = Path(__file__).parent
FILE = FOLDER / "references.json"


class Rows(NamedTuple):
    """What a case fits: labels 0 .. K-1 (n,), features (n, p) and their names, weights (n,)."""

    labels: Array
    matrix: Array
    names: list[str]
    weights: Array | None


@cache
def _read() -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


@cache
def _columns(file: str) -> Mapping[str, Array]:
    with (FOLDER / "data" / file).open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    values = np.array(rows, dtype=np.float64)
    values.flags.writeable = False
    return dict(zip(header, values.T, strict=True))


def cases() -> list[str]:
    """The names of all cases."""
    return list(_read()["cases"])


def reference(name: str) -> Mapping[str, Any]:
    """The numbers of a case, by quantity."""
    found: Mapping[str, Any] = _read()["cases"][name]
    return found


def of_classes(name: str) -> Mapping[str, Any]:
    """Marginal effects and profile limits of a case with several classes (`make_classes`)."""
    found: Mapping[str, Any] = json.loads((FOLDER / "classes.json").read_text())[name]
    return found


def data(name: str) -> Rows:
    """The rows of a case. Without weights in the case, weights of its file are left out."""
    case = reference(name)
    columns = _columns(case["file"])
    matrix = np.column_stack([columns[feature] for feature in case["columns"]])
    weights = None if case["weight"] is None else columns[case["weight"]]
    return Rows(columns["label"], matrix, list(case["columns"]), weights)


def column(name: str, role: str) -> Array:
    """The column of a case with the role "offset" or "cluster"."""
    case = reference(name)
    return _columns(case["file"])[case[role]]
