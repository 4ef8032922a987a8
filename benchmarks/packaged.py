"""Real data that the development packages bring: docstrings, and data sets of scikit-learn."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from pyspark.ml import Pipeline
from pyspark.ml.feature import IDF, HashingTF, Tokenizer
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession

PACKAGES = ("numpy", "scipy", "pandas", "sklearn", "pyspark")  # the classes
PER_PACKAGE = 1_200
FEATURES = 2**18
SHORTEST = 60  # characters


def text_frame(spark: SparkSession, rows: int, *, only: str | None = None) -> DataFrame:
    """Return hashed words with inverse document frequencies, labelled by package.

    There are five classes, or two: `only` this package, and all others.
    """
    texts = docstrings()[:rows]
    labels = [float(its == only) if only else float(PACKAGES.index(its)) for its, _ in texts]
    words = [text for _, text in texts]
    frame = spark.createDataFrame(list(zip(labels, words, strict=True)), ["label", "text"])
    stages: list[Any] = [
        Tokenizer(inputCol="text", outputCol="words"),
        HashingTF(inputCol="words", outputCol="counts", numFeatures=FEATURES),
        IDF(inputCol="counts", outputCol="features"),
    ]
    made = Pipeline(stages=stages).fit(frame).transform(frame)
    return made.select("label", "features")


@cache
def docstrings() -> list[tuple[str, str]]:
    """Return package and text of docstrings, as many of each package, in a fixed random order."""
    found = [(name, text) for name in PACKAGES for text in islice(_texts(name), PER_PACKAGE)]
    random.Random(1).shuffle(found)
    return found


def array_frame(spark: SparkSession, rows: int, *, name: str) -> DataFrame:
    """Return dense vectors and labels of a data set that scikit-learn ships, such as `digits`."""
    from sklearn import datasets

    features, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    pairs = zip(labels[:rows].astype(float).tolist(), map(Vectors.dense, features), strict=False)
    return spark.createDataFrame(list(pairs), ["label", "features"])


def _texts(package: str) -> Iterator[str]:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    for file in sorted(Path(spec.submodule_search_locations[0]).rglob("*.py")):
        if "test" in file.as_posix():
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8", errors="replace"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                text = ast.get_docstring(node) or ""
                if len(text) >= SHORTEST:
                    yield text
