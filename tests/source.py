"""The package's modules by name, and what each of them imports, from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path


def _find_package() -> Path:
    """The package's folder, without importing it."""
    spec = find_spec("sparklr")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


PACKAGE = _find_package()
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    .removesuffix("__init__")
    .rstrip("."): (path)
    for path in sorted(PACKAGE.rglob("*.py"))
}


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
