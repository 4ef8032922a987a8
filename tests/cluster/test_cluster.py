"""On a standalone cluster, with sparklr from its wheel, a fit is what it is in local mode."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

from sparklr import LogisticRegressionModel
from tests.cluster.loopback import SCRIPTS, Cluster
from tests.cluster.processes import matching, wait_until

pytestmark = pytest.mark.cluster

# Sums merge in the order of partitions, so hardly a bit may differ.
RELATIVE = 1e-12
WORK = [
    "dense",
    "one partition",
    "many",
    "removed by a job",
    "three classes",
    "grid",
    "scores",
    "inference",
    "separated",
    "laplace",
    "gaussian",
    "sampled",
    "stopped early",
    "sgd",
    "stream",
    "wide stream",
    "mean field",
    "on the driver",
]


@pytest.fixture(scope="module")
def found(cluster: Cluster, roots: Path) -> dict[str, Any]:
    """What the driver found on the cluster."""
    return cluster.run("driver_plain.py", LOCAL_ROOT=str(roots))


def test_sparklr_comes_from_the_wheel(found: dict[str, Any], python: Path) -> None:
    """At the driver and at every worker, and not from the source tree."""
    environment = python.parents[1]
    files = [found["sparklr"]["driver"], *found["sparklr"]["workers"]]
    assert len(files) == 2
    for file in files:
        assert Path(file).is_relative_to(environment)


@pytest.mark.parametrize("what", WORK)
def test_the_numbers_are_those_of_local_mode(
    found: dict[str, Any], expected: dict[str, Any], what: str
) -> None:
    assert_allclose(found[what]["numbers"], expected[what]["numbers"], rtol=RELATIVE)


def test_the_metrics_of_a_grid_are_those_of_local_mode(
    found: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert_allclose(found["grid"]["metrics"], expected["grid"]["metrics"], rtol=RELATIVE)


def test_limits_of_the_likelihood_are_those_of_local_mode(
    found: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert_allclose(found["inference"]["limits"], expected["inference"]["limits"], rtol=1e-9)


def test_a_posterior_that_the_cluster_saved_is_loaded_in_local_mode(
    spark: Any, found: dict[str, Any]
) -> None:
    assert spark
    posterior = LogisticRegressionModel.load(found["saved"]["path"]).posterior
    assert posterior.mean.tolist() == found["saved"]["mean"]
    assert posterior.draws(3).tolist() == found["saved"]["draws"]


def test_separated_rows_are_found_by_jobs(found: dict[str, Any], expected: dict[str, Any]) -> None:
    (said,) = found["separated"]["said"]
    assert said.startswith("Wherever 'features[5]' is above 0 the label is 1")
    assert found["separated"]["found"] == expected["separated"]["found"]
    assert found["separated"]["readings"] > 0


def test_blocks_lie_beside_both_workers_and_passes_are_jobs(found: dict[str, Any]) -> None:
    assert found["folders"]["roots"] == ["one", "two"]
    assert found["dense"]["passes"] > 2


def test_few_rows_come_to_the_driver_and_need_no_pass(found: dict[str, Any]) -> None:
    assert found["on the driver"]["passes"] == 0


@pytest.mark.parametrize("what", WORK)
def test_nothing_is_left_after_each(found: dict[str, Any], what: str) -> None:
    """No block file, persisted frame or view."""
    assert found[what]["left"] == []


def test_no_folder_is_left_after_the_session(found: dict[str, Any]) -> None:
    assert found["after"]["left"] == []


@pytest.mark.usefixtures("found")
def test_the_health_checks_tell_a_worker_from_nothing(cluster: Cluster) -> None:
    """As the containers ask, of the pages that the containers have."""

    def check(*arguments: str) -> int:
        return subprocess.run([sys.executable, str(SCRIPTS / "healthy.py"), *arguments]).returncode

    master, worker, *_ = cluster.pages
    wait_until(lambda: check(master) == 0, "the master answers")
    wait_until(lambda: check(master, "aliveworkers", "2") == 0, "it knows both workers")
    assert check(master, "aliveworkers", "3") == 1
    wait_until(lambda: check(worker, "cores") == 0, "the worker answers")
    assert check(worker, "nothing") == 1
    assert check("http://127.0.0.1:1/json/") == 1


def test_no_process_outlives_whoever_began_it(python: Path, tmp_path: Path) -> None:
    """Here one that is killed, and can tidy up nothing."""
    script = (
        "import sys; from pathlib import Path; from tests.cluster.loopback import Cluster\n"
        "cluster = Cluster(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(cluster.port, flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(python), str(tmp_path / "cluster")],
        cwd=SCRIPTS.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    with owner.stdin, owner.stdout:
        port = owner.stdout.readline().decode().strip()
        wait_until(lambda: bool(matching("Master", f"--port {port}")), "the master starts")
        owner.send_signal(signal.SIGKILL)
        owner.wait(60)
    wait_until(lambda: not matching("Master", f"--port {port}"), "the master ends")
