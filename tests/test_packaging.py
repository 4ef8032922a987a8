"""What is in the archives that users install: the whole package, nothing else, and its metadata."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel and a source archive, built from this checkout by its own build backend."""
    folder = tmp_path_factory.mktemp("dist")
    build(folder, "")
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


def build(folder: Path, url: str, *options: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *options]
    environment = {**os.environ, "SPARKLR_URL": url}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def wheel(archives: tuple[Path, Path]) -> zipfile.ZipFile:
    return zipfile.ZipFile(archives[0])


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return metadata_of(wheel)


def metadata_of(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_string(wheel.read(name).decode("utf-8"))


def test_the_wheel_has_every_module_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Above all py.typed, and no tests, which would take the name `tests` at the user's."""
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "sparklr").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert "sparklr/py.typed" in package
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == package


def test_the_wheel_runs_on_any_platform(archives: tuple[Path, Path]) -> None:
    assert archives[0].name.endswith("-py3-none-any.whl")


def test_the_licence_comes_along(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    (name,) = (name for name in wheel.namelist() if name.endswith("/licenses/LICENSE"))
    assert wheel.read(name) == (ROOT / "LICENSE").read_bytes()


def test_the_metadata_say_what_an_index_shows(metadata: Message) -> None:
    assert metadata["Name"] == "sparklr"
    assert metadata["Summary"]
    assert metadata["Keywords"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_release_links_to_where_its_source_is(metadata: Message, tmp_path: Path) -> None:
    assert metadata.get_all("Project-URL") is None
    build(tmp_path, "https://host/owner/sparklr", "-t", "wheel")
    (path,) = tmp_path.glob("*.whl")
    linked = metadata_of(zipfile.ZipFile(path))
    assert "Source, https://host/owner/sparklr" in linked.get_all("Project-URL", [])
    assert "](https://host/owner/sparklr/blob/v" in str(linked.get_payload())


def test_every_python_that_may_install_it_is_a_classifier(metadata: Message) -> None:
    prefix = "Programming Language :: Python :: 3."
    named = [text for text in metadata.get_all("Classifier", []) if text.startswith(prefix)]
    assert metadata["Requires-Python"] == "<3.14,>=3.10"
    assert named == [f"{prefix}{minor}" for minor in range(10, 14)]


def test_the_source_archive_can_be_tested(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[1]) as source:
        names = {name.split("/", 1)[1] for name in source.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "tests/conftest.py"} <= names
    assert "sparklr/py.typed" in names
    assert not {name for name in names if name.startswith((".venv", ".nox", "build", "dist"))}
