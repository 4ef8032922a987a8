"""Who may import whom, and who may touch Spark's JVM, read from the source itself.

A module imports only what its line in `ALLOWED` names; modules and packages not named here fail.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest


def _find_package() -> Path:
    """The package's folder, without importing it."""
    spec = find_spec("sparklr")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


PACKAGE = _find_package()

# From the bottom up. A line allows what it names and all that lies inside of it; "" is the
# package's own __init__. Within its own folder a module may import its neighbours.
ALLOWED: dict[str, set[str]] = {
    "arrays": set(),
    "remote": set(),
    "jvm": {"remote"},
    "progress": set(),
    "metrics": {"arrays"},
    "tables": set(),
    "solvers": {"arrays"},
    "objective": {"arrays"},
    "blocks": {"arrays"},
    "arrow": {"arrays", "blocks"},
    "problem": {"arrays", "blocks", "objective", "solvers"},
    "passes": {"arrays", "blocks", "arrow", "jvm", "remote", "objective"},
    "scoring": {"arrays", "arrow", "blocks"},
    "choice": {"arrays", "blocks", "problem", "solvers"},
    "plan": {
        "arrays",
        "blocks",
        "choice",
        "progress",
        "objective",
        "problem",
        "solvers",
        "passes.local",
        "passes.protocol",
    },
}
# The face, which may import all of the above and one another.
FACE = {
    "",
    "columns",
    "compressed",
    "estimator",
    "grid",
    "judges",
    "matrix_params",
    "model",
    "pages",
    "params",
    "persistence",
    "portable",
    "score_frame",
    "plots",
    "summary",
    "tallies",
    "trials",
    "tuning",
    "unscaled",
}
# Below the face only these know Spark.
KNOW_SPARK = {"jvm", "remote", "passes.spark", "passes.packing", "passes.session"}

# What only Spark's JVM has, or its driver's context: Spark Connect has neither.
JVM_NAMES = {"_jvm", "_jdf", "_jsparkSession", "_gateway", "sparkContext", "_sc", "rdd"}
JVM_MODULE = "jvm"

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    .removesuffix("__init__")
    .rstrip("."): (path)
    for path in sorted(PACKAGE.rglob("*.py"))
}
every_module = pytest.mark.parametrize("module", MODULES)


def layer_of(module: str) -> str | None:
    """The line that a module falls under: its own, or that of the folder around it."""
    top = module.partition(".")[0]
    return top if top in ALLOWED or top in FACE else None


def within(module: str, name: str) -> bool:
    return module == name or module.startswith(f"{name}.")


def parse(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imported_by(module: str) -> Iterator[str]:
    """Every module imported anywhere in this one, in functions and for type checking too."""
    package = ["sparklr", *module.split(".")] if module else ["sparklr"]
    if MODULES[module].name != "__init__.py":
        package.pop()
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            # `from sparklr import jvm` imports a module, `from sparklr.jvm import x` a name of one.
            for alias in node.names:
                inner = f"{source}.{alias.name}".removeprefix("sparklr.")
                is_module = within(source, "sparklr") and inner in MODULES
                yield f"{source}.{alias.name}" if is_module else source


def ours_imported_by(module: str) -> set[str]:
    return {
        name.removeprefix("sparklr").removeprefix(".")
        for name in imported_by(module)
        if within(name, "sparklr")
    }


def test_every_module_has_a_layer() -> None:
    assert [module for module in MODULES if layer_of(module) is None] == []


def test_every_layer_has_a_module() -> None:
    """No line here outlives what it speaks of."""
    layers = {layer_of(module) for module in MODULES}
    assert (set(ALLOWED) | FACE) - layers == set()
    assert set(MODULES) >= KNOW_SPARK


@every_module
def test_no_import_points_upward(module: str) -> None:
    layer = layer_of(module)
    if layer in FACE:
        return
    assert layer is not None
    allowed = ALLOWED[layer] | {layer}
    upward = {
        name for name in ours_imported_by(module) if not any(within(name, one) for one in allowed)
    }
    assert upward == set(), f"sparklr.{module} may not import these"


def test_the_layers_form_no_circle() -> None:
    """The order of the lines is one in which everything imported comes first."""
    seen: set[str] = set()
    for layer, allowed in ALLOWED.items():
        assert {name.partition(".")[0] for name in allowed} <= seen
        seen.add(layer)


@every_module
def test_only_the_face_and_two_passes_know_spark(module: str) -> None:
    knows = any(within(name, "pyspark") or within(name, "py4j") for name in imported_by(module))
    may = layer_of(module) in FACE or module in KNOW_SPARK
    assert may or not knows


def jvm_names_in(module: str) -> set[str]:
    """Names and attributes that reach for the JVM, also by `getattr` and its like."""
    found = set()
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found & JVM_NAMES


@pytest.mark.parametrize("module", [module for module in MODULES if module != JVM_MODULE])
def test_only_one_module_touches_the_jvm(module: str) -> None:
    assert jvm_names_in(module) == set()


def test_the_jvm_module_needs_its_exemption() -> None:
    assert jvm_names_in(JVM_MODULE) != set()


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


def test_all_below_the_face_imports_without_pyspark() -> None:
    names = [
        f"sparklr.{module}"
        for module in MODULES
        if layer_of(module) not in FACE and module not in KNOW_SPARK
    ]
    for name in ("sparklr.solvers", "sparklr.objective.sums", "sparklr.blocks", "sparklr.plan"):
        assert name in names
    done = import_without_spark(names)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["imported", str(len(names))]


def test_pyspark_cannot_be_imported_in_that_test() -> None:
    """The test above could not fail otherwise."""
    done = import_without_spark(["sparklr.passes.spark"])
    assert done.returncode != 0
    assert "is not to be had" in done.stderr
