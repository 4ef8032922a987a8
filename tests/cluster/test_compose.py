"""`docker-compose.yml` as far as it can be held to its promises without an engine to run it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
INSIDE = "/opt/sparklr/"

# What a service may say; a misspelt key would be refused, or worse, passed over.
KEYS = {
    "build",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "networks",
    "ports",
}
each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def scripts(words: list[str]) -> list[Path]:
    """Where the image's own files among these words lie in the source tree."""
    return [ROOT / "docker" / word.removeprefix(INSIDE) for word in words if INSIDE in word]


def arguments() -> dict[str, str]:
    """The versions that the Dockerfile takes unless it is told others."""
    return dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))


def test_there_are_a_master_two_workers_and_a_client() -> None:
    assert set(SERVICES) == {"master", "worker-1", "worker-2", "jupyter"}


@each_service
def test_a_service_says_nothing_unknown(name: str) -> None:
    assert SERVICES[name].keys() <= KEYS
    assert SERVICES[name]["hostname"] == name


@each_service
def test_a_service_runs_a_script_that_is_there_and_may_be_run(name: str) -> None:
    (script,) = scripts(SERVICES[name]["command"][:1])
    assert script.name == f"{ {'jupyter': 'client'}.get(name, name.split('-')[0]) }.sh"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")


@each_service
def test_the_scripts_read_every_variable_that_is_set(name: str) -> None:
    (script,) = scripts(SERVICES[name]["command"][:1])
    text = script.read_text("utf-8") + (script.parent / "environment.sh").read_text("utf-8")
    for variable in SERVICES[name]["environment"]:
        assert f"${{{variable}:" in text


@each_service
def test_a_service_is_checked_by_what_its_script_answers(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check.keys() == {"test", "interval", "timeout", "retries", "start_period"}
    assert check["test"][:2] == ["CMD", "python3"]
    (script,) = scripts(check["test"])
    assert script.is_file()


def test_services_start_when_those_they_need_are_healthy() -> None:
    needs = {name: its.get("depends_on", {}) for name, its in SERVICES.items()}
    healthy = {"condition": "service_healthy"}
    assert needs == {
        "master": {},
        "worker-1": {"master": healthy},
        "worker-2": {"master": healthy},
        "jupyter": {"worker-1": healthy, "worker-2": healthy},
    }


@each_service
def test_ports_are_open_to_this_machine_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert "network_mode" not in SERVICES[name]


@each_service
def test_every_version_is_stated(name: str) -> None:
    service = SERVICES[name]
    image, _, tag = service["image"].partition(":")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert image == "sparklr"
    assert f'version = "{tag}"' in project
    assert service["build"]["args"].items() <= arguments().items()
    assert re.fullmatch(
        r"python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", arguments()["PYTHON_IMAGE"]
    )
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}"}


def test_the_versions_are_ones_that_sparklr_runs_on() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    pyspark = Requirement(re.findall(r'"(pyspark[<>=][^"]*)"', project)[0])
    (pythons,) = re.findall(r'requires-python = "([^"]*)"', project)
    assert arguments()["PYSPARK_VERSION"] in pyspark.specifier
    assert arguments()["PYTHON_IMAGE"].split(":")[1].split("-")[0] in SpecifierSet(pythons)


def test_what_the_dockerfile_copies_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()}
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = [word for word in line.split() if not word.startswith("--")]
        for source in sources:
            assert list(ROOT.glob(source)), source
            assert source.split("/")[0] in kept


def test_the_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)[-1] != "root"


def test_compose_itself_takes_the_file() -> None:
    """Where compose is installed; it needs no engine for this."""
    compose = ["docker", "compose"]
    if not shutil.which("docker") or subprocess.run([*compose, "version"]).returncode:
        pytest.skip("docker compose is not installed")
    subprocess.run([*compose, "--file", str(FILE), "config", "--quiet"], check=True)
