"""Posteriors on Spark Connect are those of the classic session; each loads what the other saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

from sparklr import LogisticRegressionModel
from tests.connect.client import ROOT, why_not
from tests.connect.server import running
from tests.posterior.on_connect import KINDS, figures, fitted, frame_of_rows

pytestmark = [pytest.mark.deep, pytest.mark.classic]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def classic(spark: Any, folder: Path) -> dict[str, Any]:
    frame = frame_of_rows(spark)
    models = {kind: fitted(frame, kind) for kind in KINDS}
    models["gaussian"].save(str(folder / "classic"))
    return {kind: figures(its, frame) for kind, its in models.items()}


@pytest.fixture(scope="module")
def connect(
    classic: dict[str, Any], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What a client finds; it begins when the model to load is there."""
    assert classic
    if why_not():
        pytest.skip(why_not())
    command = [sys.executable, "-m", "tests.posterior.on_connect", str(folder)]
    with running(tmp_path_factory.mktemp("server")) as address:
        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **address}, capture_output=True, text=True
        )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout.splitlines()[-1])


def assert_alike(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert_allclose(found[name], values, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_posterior_and_its_columns(
    classic: dict[str, Any], connect: dict[str, Any], kind: str
) -> None:
    assert_alike(connect[kind], classic[kind])


def test_what_a_classic_session_saved_is_loaded_on_connect(
    classic: dict[str, Any], connect: dict[str, Any]
) -> None:
    assert_alike(connect["of classic"], classic["gaussian"])


def test_what_connect_saved_is_loaded_in_a_classic_session(
    spark: Any, classic: dict[str, Any], connect: dict[str, Any], folder: Path
) -> None:
    assert connect
    loaded = LogisticRegressionModel.load(str(folder / "connect"))
    assert_alike(figures(loaded, frame_of_rows(spark)), classic["sampled"])
