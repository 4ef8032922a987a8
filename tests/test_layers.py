"""Who may import whom, who may touch Spark, and who may touch what is private, from the source.

Every module stands on one of the `FLOORS`, the face included, and imports only from lower ones or
from its own package. Imports for type checking count: who names a type knows of it.
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

# From the top down. A name stands for a module or for a package and all inside of it; "" is the
# package's own __init__. Within its own package a module may import its neighbours.
FLOORS: list[set[str]] = [
    {""},
    {"packed"},
    {"tuning", "distributions"},
    {"search", "mean_field"},
    {"estimator"},
    {"model"},
    {"summary"},
    {"inference"},
    {"display"},
    {"saving"},
    {"fitting"},
    {"separation", "posterior"},
    {"passes"},
    {"scoring", "packing"},
    {"objective"},
    {"rows"},
    {"params"},
    {"spark", "solvers"},
    {"arrays"},
]
# What a user imports; all else lies in a folder.
TOP_LEVEL = {"", "arrays", "distributions", "estimator", "model", "packed", "summary", "tuning"}

# These need Spark, by their own imports or by what they import; all others do without it.
KNOW_SPARK = {
    "",
    "display.pages",
    "distributions",
    "estimator",
    "fitting.bias_reduction",
    "fitting.bounds_and_start",
    "fitting.from_params",
    "fitting.packed_rows",
    "fitting.posterior",
    "fitting.shared",
    "fitting.split",
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
    "inference.residuals",
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
    "scoring.frame",
    "scoring.in_memory",
    "scoring.numbers",
    "scoring.offset",
    "scoring.outputs",
    "search",
    "spark",
    "summary",
    "tuning",
}

# What only Spark's JVM has, or its driver's context: Spark Connect has neither.
JVM_NAMES = {"_jvm", "_jdf", "_jsparkSession", "_gateway", "sparkContext", "_sc", "rdd"}
JVM_MODULES = ("spark.array_bytes", "spark.classic")

# Private names of others that are used on other objects than `self`, and why.
FOREIGN_PRIVATE = {
    "_dummy": "Spark's way to declare a Param",
    "_paramMap": "the Params that are set, for which Spark has no public name",
    "_defaultParamMap": "the Params' defaults, likewise",
    "_set": "sets Params by name; Spark's public `set` takes a Param",
    "_setDefault": "sets defaults of a class that is read back",
    "_resetUid": "gives an object that is read back the uid it was saved with",
    "_copyValues": "copies the Params of an estimator to its model",
    "_transfer_params_to_java": "Spark's own model must know in the JVM what was set in Python",
    "_ValidatorSharedReadWrite": "Spark's reader of a validator's stages and maps",
    "_replace": "a NamedTuple's public method",
    "_jvm": "Spark's JVM",
    "_jdf": "a frame in the JVM",
    "_jc": "a column in the JVM",
    "_jsc": "the context in the JVM",
    "_jsparkSession": "the session in the JVM",
    "_gateway": "how threads are told apart in the JVM",
    "_sc": "a frame's context",
}

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    .removesuffix("__init__")
    .rstrip("."): (path)
    for path in sorted(PACKAGE.rglob("*.py"))
}
every_module = pytest.mark.parametrize("module", MODULES)


def within(module: str, name: str) -> bool:
    return module == name or module.startswith(f"{name}.")


def layer_of(module: str) -> str:
    """The name on a floor that a module falls under: its own, or that of the package around it."""
    return module.partition(".")[0]


def floor_of(module: str) -> int | None:
    """Counted from the top."""
    layer = layer_of(module)
    return next((at for at, floor in enumerate(FLOORS) if layer in floor), None)


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
            # `from sparklr import model` imports a module, `from sparklr.model import x` a name.
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


@pytest.mark.parametrize("module", [module for module in MODULES if module not in JVM_MODULES])
def test_only_two_modules_touch_the_jvm(module: str) -> None:
    assert jvm_names_in(module) == set()


@pytest.mark.parametrize("module", JVM_MODULES)
def test_the_modules_of_the_jvm_need_their_exemption(module: str) -> None:
    assert jvm_names_in(module) != set()


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_imports(module: str) -> set[str]:
    """Private names that a module imports from another of ours."""
    return {
        f"{node.module}.{alias.name}"
        for node in ast.walk(parse(module))
        if isinstance(node, ast.ImportFrom) and within(node.module or "", "sparklr")
        for alias in node.names
        if any(is_private(part) for part in (*(node.module or "").split("."), alias.name))
    }


def is_own(node: ast.expr) -> bool:
    """Whether an expression is the object or the class itself: self, cls, super()."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def private_names_defined_in(module: str) -> set[str]:
    """Private functions, classes, variables and attributes of `self` that a module makes."""
    found = set()
    for node in ast.walk(parse(module)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found |= (
                {node.attr} if is_own(node.value) and isinstance(node.ctx, ast.Store) else set()
            )
    return {name for name in found if is_private(name)}


def foreign_attributes(module: str) -> set[str]:
    """Private attributes of other objects, modules included, that the module does not make itself.

    The type of an object is not known here, only its name: `model._x` is right where `_x` is
    defined in the same module, and else `_x` must be one of `FOREIGN_PRIVATE`.
    """
    used = {
        node.attr
        for node in ast.walk(parse(module))
        if isinstance(node, ast.Attribute) and is_private(node.attr) and not is_own(node.value)
    }
    return used - private_names_defined_in(module)


@every_module
def test_no_module_imports_what_is_private_to_another(module: str) -> None:
    assert private_imports(module) == set()


@every_module
def test_no_module_uses_private_attributes_of_another(module: str) -> None:
    assert foreign_attributes(module) - FOREIGN_PRIVATE.keys() == set()


def test_every_foreign_private_name_is_needed() -> None:
    used = {name for module in MODULES for name in foreign_attributes(module)}
    assert FOREIGN_PRIVATE.keys() - used == set()


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
