"""Files that describe the project agree with it: workflows, hooks, forms, citation, changelog."""

from __future__ import annotations

import os
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

import sparklr

ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
CHANGELOG = (ROOT / "docs" / "changelog.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
RELEASE = runpy.run_path(str(ROOT / ".ci" / "release.py"))
BUILD = runpy.run_path(str(ROOT / "hatch_build.py"))
VERSION = RELEASE["version_of"](PROJECT)

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda one: one.stem)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return dict(read(path)["jobs"])


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job.get("steps", [])]


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile, without the folder of their programs."""
    text = (ROOT / "Makefile").read_text("utf-8")
    (lines,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    return [line.strip().removeprefix("$(BIN)/") for line in lines.splitlines()]


@each_workflow
def test_an_action_is_pinned_at_least_to_a_major_version(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w/-]+@(release/)?(v\d+(\.\d+)*|[0-9a-f]{40})", action), action


def test_one_action_has_one_version() -> None:
    used = {step["uses"] for path in WORKFLOWS for step in steps(path) if "uses" in step}
    assert len({action.partition("@")[0] for action in used}) == len(used)


@each_workflow
def test_a_workflow_may_do_no_more_than_it_needs(path: Path) -> None:
    assert read(path)["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in jobs(path).items() if "permissions" in job}
    publishing = {"publish": {"id-token": "write"}, "announce": {"contents": "write"}}
    assert more == (publishing if path.stem == "release" else {})
    assert all("timeout-minutes" in job or "uses" in job for job in jobs(path).values())
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".ci" / "run"], ids=lambda one: one.stem)
def test_what_is_run_is_there(path: Path) -> None:
    """Targets of make, and scripts of this repository."""
    targets = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    commands = [step["run"] for step in steps(path) if "run" in step] if path in WORKFLOWS else []
    for command in "\n".join(commands or [path.read_text("utf-8")]).splitlines():
        if command.startswith("make "):
            named = [word for word in command.split()[1:] if "=" not in word]
            assert set(named) <= set(targets[0].split()), command
        for script in re.findall(r"\.ci/\w+(?:\.py)?", command):
            assert (ROOT / script).is_file(), command
        if command.startswith(".ci/"):
            assert os.access(ROOT / command, os.X_OK)


def test_ci_runs_what_any_machine_runs() -> None:
    assert steps(GITHUB / "workflows" / "ci.yml")[-1] == {"run": ".ci/run"}


def test_nothing_is_published_that_was_not_tested_and_tried() -> None:
    path = GITHUB / "workflows" / "release.yml"
    release = jobs(path)
    assert read(path)[True] == {"push": {"tags": ["v*"]}}  # YAML takes the word "on" for a yes
    assert (ROOT / release["tests"]["uses"]).samefile(GITHUB / "workflows" / "ci.yml")
    assert "workflow_call" in read(GITHUB / "workflows" / "ci.yml")[True]
    assert release["try"]["needs"] == "build"
    assert set(release["publish"]["needs"]) == {"tests", "try"}
    assert release["publish"]["environment"] == "pypi"
    assert release["announce"]["needs"] == "publish"
    built = [step["env"] for step in release["build"]["steps"] if "hatchling build" in str(step)]
    assert [set(env) for env in built] == [{BUILD["VARIABLE"]}]


def test_archives_are_tried_where_the_package_is_not_checked_out() -> None:
    release = jobs(GITHUB / "workflows" / "release.yml")
    checkout = release["try"]["steps"][0]
    assert checkout["with"]["sparse-checkout"] == ".ci"
    tried = release["try"]["strategy"]["matrix"]["include"]
    assert {each["archive"] for each in tried} == {"*.whl", "*.tar.gz"}


@pytest.mark.parametrize(
    ("tag", "changelog", "words"),
    [
        ("v1.2.0", "## [Unreleased]\n\n## [1.2.0] - 2030-01-31\n\n### Added\n", []),
        ("1.2.0", "## [1.2.0] - 2030-01-31\n\nText.\n", ["The tag is 1.2.0"]),
        ("v1.2.1", "## [1.2.0] - 2030-01-31\n\nText.\n", ["tag the commit as v1.2.0"]),
        ("v1.2.0", "## [Unreleased]\n\nText.\n", ["has no entry for 1.2.0"]),
        ("v1.2.0", "## [1.2.0]\n\nText.\n", ["has no entry for 1.2.0"]),
        ("v1.2.0", "## [1.2.0] - 2030-01-31\n\n## [1.1.0] - 2029-01-31\n\nText.\n", ["no entry"]),
        ("v1.2.0", "## [1x2.0] - 2030-01-31\n\nText.\n", ["has no entry for 1.2.0"]),
        ("v1", "", ["The tag is v1", "has no entry"]),
    ],
)
def test_a_tag_is_a_release_if_version_and_changelog_say_so(
    tag: str, changelog: str, words: list[str]
) -> None:
    found = RELEASE["faults"](tag, "1.2.0", changelog)
    assert len(found) == len(words)
    assert all(word in fault for word, fault in zip(words, found, strict=True))


def test_every_file_that_states_the_version_states_the_same() -> None:
    """tests/cluster/test_compose.py compares the image's."""
    assert sparklr.__version__ == VERSION
    assert str(read(ROOT / "CITATION.cff")["version"]) == VERSION


def test_the_citation_has_what_its_format_requires() -> None:
    citation = read(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert f'license = "{citation["license"]}"' in PROJECT


def test_the_changelog_keeps_its_form() -> None:
    headings = re.findall(r"^(#+) (.*)$", CHANGELOG, re.MULTILINE)
    versions = [text for level, text in headings if level == "##"]
    kinds = {text for level, text in headings if level == "###"}
    assert versions[0] == "[Unreleased]"
    for text in versions[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", text), text
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_hooks_are_the_commands_of_make_lint() -> None:
    (local,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    (ruff,) = re.findall(r'^lint = \[.*"(ruff[^"]*)"', PROJECT, re.MULTILINE)
    assert [hook["entry"] for hook in local["hooks"]] == recipe("lint")
    for hook in local["hooks"]:
        assert hook["additional_dependencies"] == [ruff]
        assert hook["pass_filenames"] is False


def test_packages_and_actions_are_kept_up() -> None:
    updates = read(GITHUB / "dependabot.yml")["updates"]
    assert {each["package-ecosystem"] for each in updates} == {"pip", "github-actions"}


@pytest.mark.parametrize("path", FORMS, ids=lambda one: one.stem)
def test_a_form_has_what_its_format_requires(path: Path) -> None:
    form = read(path)
    if path.stem == "config":
        assert form == {"blank_issues_enabled": False}
        return
    assert form.keys() == {"name", "description", "labels", "body"}
    asked = [part for part in form["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in asked} <= {"textarea", "input", "dropdown", "checkboxes"}
    assert len({part["id"] for part in asked}) == len(asked)
    assert all(part["attributes"]["label"] for part in asked)
    assert any(part["validations"]["required"] for part in asked)


def test_a_form_links_to_files_that_are_there() -> None:
    """From the page of a new issue, which is one folder below the repository's."""
    linked = re.findall(r"\]\(\.\./blob/main/([^)#]+)", "".join(map(Path.read_text, FORMS)))
    assert linked
    assert all((ROOT / path).is_file() for path in linked)


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"]
)
def test_a_page_at_the_top_links_to_files_that_are_there(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / path).is_file(), path


def test_links_of_the_readme_lead_somewhere_from_an_index() -> None:
    text = BUILD["absolute"](README, "https://host/owner/sparklr", "1.2.0")
    assert "](https://host/owner/sparklr/blob/v1.2.0/docs/start.md)" in text
    assert "](https://host/owner/sparklr/raw/v1.2.0/docs/speed.png)" in text
    assert re.findall(r"\]\((?!https:)[^)]*", text) == []


def test_no_variable_is_no_link_and_a_wrong_one_is_refused() -> None:
    assert BUILD["checked"]("") == ""
    assert BUILD["checked"]("https://host/owner/sparklr/") == "https://host/owner/sparklr"
    for wrong in ("host/owner", "http://host/owner", "https://", "https://host/owner?a=b"):
        with pytest.raises(ValueError, match=r"SPARKLR_URL=.* is not allowed"):
            BUILD["checked"](wrong)


@pytest.mark.deep
def test_what_a_release_is_tried_with_passes(spark: Any, tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / ".ci" / "smoke.py"))["smoke"](spark, tmp_path)
