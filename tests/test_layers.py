"""Who may import whom, and who may import Spark, from the source.

Every module stands on one of the `FLOORS`, the face included, and imports only from lower ones or
from its own package. Imports for type checking count: who names a type knows of it.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.source import MODULES, PACKAGE, imported_by, ours_imported_by, within

# From the top down. A name stands for a module or for a package and all inside of it; "" is the
# package's own __init__. Within its own package a module may import its neighbours.
FLOORS: list[set[str]] = [
    {""},
    {"packed"},
    {"tuning", "distributions"},
    {"search", "mean_field"},
    {"estimator"},
    {"streams"},
    {"model"},
    {"exports"},
    {"summary"},
    {"inference"},
    {"display"},
    {"saving"},
    {"fitting"},
    {"separation", "posterior"},
    {"passes"},
    {"scoring", "packing", "batches"},
    {"objective"},
    {"rows"},
    {"params"},
    {"spark", "solvers"},
    {"arrays"},
]
# What a user imports; all else lies in a folder.
TOP_LEVEL = {
    "",
    "arrays",
    "distributions",
    "estimator",
    "model",
    "packed",
    "streams",
    "summary",
    "tuning",
}

# These need Spark, by their own imports or by what they import; all others do without it.
KNOW_SPARK = {
    "",
    "display.pages",
    "distributions",
    "estimator",
    "exports",
    "fitting.bias_reduction",
    "fitting.bounds_and_start",
    "fitting.from_params",
    "fitting.held_out",
    "fitting.packed_rows",
    "fitting.posterior",
    "fitting.shared",
    "fitting.split",
    "fitting.stream",
    "fitting.stream_params",
    "inference.covariances",
    "inference.diagnostics",
    "inference.inference",
    "inference.influence",
    "inference.kept",
    "inference.measures",
    "inference.of_fit",
    "inference.of_model",
    "inference.of_scores",
    "inference.on_rows",
    "inference.pages",
    "inference.penalised",
    "inference.posterior",
    "inference.posterior_of_model",
    "inference.posterior_pictures",
    "inference.residuals",
    "inference.stream_of_model",
    "inference.training",
    "mean_field.checks",
    "mean_field.files",
    "mean_field.params",
    "mean_field.summary",
    "model",
    "packed",
    "packing.job",
    "packing.source",
    "params",
    "passes.jobs",
    "rows.columns",
    "saving",
    "scoring.aggregates",
    "scoring.coefficients",
    "scoring.evaluators",
    "scoring.explain",
    "scoring.frame",
    "scoring.in_memory",
    "scoring.numbers",
    "scoring.offset",
    "scoring.outputs",
    "search",
    "spark",
    "streams",
    "summary",
    "tuning",
}

every_module = pytest.mark.parametrize("module", MODULES)


def layer_of(module: str) -> str:
    """The name on a floor that a module falls under: its own, or that of the package around it."""
    return module.partition(".")[0]


def floor_of(module: str) -> int | None:
    """Counted from the top."""
    layer = layer_of(module)
    return next((at for at, floor in enumerate(FLOORS) if layer in floor), None)


def test_every_module_has_a_floor() -> None:
    assert [module for module in MODULES if floor_of(module) is None] == []


def test_every_name_of_a_floor_has_a_module() -> None:
    """No line here outlives what it speaks of, and none stands twice."""
    names = [name for floor in FLOORS for name in floor]
    assert sorted(names) == sorted({layer_of(module) for module in MODULES})
    assert {name for name in KNOW_SPARK if name not in MODULES} == set()


def test_the_top_level_holds_what_a_user_imports() -> None:
    files = {module for module, path in MODULES.items() if path.parent == PACKAGE}
    assert files == TOP_LEVEL


@every_module
def test_no_import_points_upward(module: str) -> None:
    floor = floor_of(module)
    assert floor is not None
    upward = {
        name
        for name in ours_imported_by(module)
        if layer_of(name) != layer_of(module) and (floor_of(name) or 0) <= floor
    }
    assert upward == set(), f"sparklr.{module} may not import these"


def test_no_modules_import_one_another_in_a_circle() -> None:
    """Neighbours in a package neither: every module can be read before those that import it."""
    left = {module: ours_imported_by(module) - {module} for module in MODULES}
    while left:
        ready = [module for module, needs in left.items() if not needs & left.keys()]
        assert ready, f"these import one another: {sorted(left)}"
        for module in ready:
            del left[module]


def knows_spark(module: str) -> bool:
    return any(within(name, "pyspark") or within(name, "py4j") for name in imported_by(module))


def test_these_know_spark_and_no_others() -> None:
    known = {module for module in MODULES if knows_spark(module)}
    while more := {
        module
        for module in MODULES
        if module not in known and (ours_imported_by(module) - {""}) & known
    }:
        known |= more
    named = {module for module in MODULES if any(_is_named(module, name) for name in KNOW_SPARK)}
    assert {module for module in known if module not in named} == set()
    assert {name for name in KNOW_SPARK if not any(_is_named(one, name) for one in known)} == set()


def _is_named(module: str, name: str) -> bool:
    return module == name or (name != "" and module.startswith(f"{name}."))


WITHOUT_SPARK = """
import sys, types
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyspark", "py4j"):
            raise ImportError(f"{name} is not to be had")

sys.meta_path.insert(0, Refuse())
# The package's own __init__ is the face, so an empty package stands in for it.
package = types.ModuleType("sparklr")
package.__path__ = [sys.argv[1]]
sys.modules["sparklr"] = package
for name in sys.argv[2:]:
    __import__(name)
    assert sys.modules[name].__file__.startswith(sys.argv[1]), sys.modules[name].__file__
assert not any(name.partition(".")[0] == "pyspark" for name in sys.modules)
print("imported", len(sys.argv) - 2)
"""


def import_without_spark(names: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_SPARK, str(PACKAGE), *names]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def test_all_others_import_without_pyspark() -> None:
    names = [
        f"sparklr.{module}"
        for module in MODULES
        if not any(_is_named(module, name) for name in KNOW_SPARK)
    ]
    for name in ("solvers", "objective.sums", "rows.blocks", "fitting.plan", "packing.worker"):
        assert f"sparklr.{name}" in names
    done = import_without_spark(names)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["imported", str(len(names))]


def test_pyspark_cannot_be_imported_in_that_test() -> None:
    """The test above could not fail otherwise."""
    done = import_without_spark(["sparklr.passes.jobs"])
    assert done.returncode != 0
    assert "is not to be had" in done.stderr
