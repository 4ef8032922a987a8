"""Who may touch what is private to another module, to Spark or to its JVM, from the source."""

from __future__ import annotations

import ast

import pytest

from tests.source import MODULES, parse, within

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

every_module = pytest.mark.parametrize("module", MODULES)


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
