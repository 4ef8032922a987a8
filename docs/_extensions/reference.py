"""Sphinx directives for the API reference, `sparklr-class` and `sparklr-function`."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from pyspark.ml.param import Params
from reference_text import class_text, marked_up, param_rows, param_table
from sphinx.application import Sphinx


def found(path: str) -> Any:
    """Return what a dotted path names."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def with_params(kind: type) -> Params | None:
    """Return an instance of a class with Params, without the numbers of a model."""
    if not issubclass(kind, Params):
        return None
    owner = kind.__new__(kind)
    for base in kind.__mro__:  # a model's own __init__ wants coefficients, its Params' do not
        if base.__module__.startswith("sparklr") and base.__name__.endswith("Params"):
            base.__init__(owner)
            return owner
    return kind()


class ClassEntry(Directive):
    """`.. sparklr-class:: path`: the docstring, the Params and all members of a class."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = self.arguments[0]
        kind = found(path)
        return parsed(self, class_text(path, kind, with_params(kind)), path)


class ParamTable(Directive):
    """`.. sparklr-params:: path`: the table of a class's Params, with anchors if asked for."""

    required_arguments = 1
    option_spec: ClassVar = {"anchors": str}

    def run(self) -> list[nodes.Node]:
        path = self.arguments[0]
        owner = with_params(found(path))
        assert owner is not None, path
        rows = param_rows(owner)
        return parsed(self, param_table(rows, anchors=self.options.get("anchors", "")), path)


def parsed(directive: Directive, text: list[str], path: str) -> list[nodes.Node]:
    """Return the nodes of generated reStructuredText."""
    holder = nodes.container()
    lines = StringList(text, source=path)
    directive.state.nested_parse(lines, directive.content_offset, holder)
    return list(holder.children)


def shown_signature(
    app: Sphinx, what: str, name: str, kind: Any, options: Any, signature: str, returned: str
) -> tuple[str, str] | None:
    """Show "(*, ...)" for a constructor that takes each Param as a keyword: the table has them."""
    takes_params = isinstance(kind, type) and issubclass(kind, Params)
    if takes_params and what == "class":
        return "(*, ...)" if "_input_kwargs" in kind.__annotations__ else "", ""
    return ("(*, ...)", returned) if name.endswith(".setParams") else None


def marked(app: Sphinx, what: str, name: str, kind: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring into reStructuredText, before its sections are read."""
    lines[:] = marked_up(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("sparklr-class", ClassEntry)
    app.add_directive("sparklr-params", ParamTable)
    app.connect("autodoc-process-signature", shown_signature)
    app.connect("autodoc-process-docstring", marked, priority=400)
    return {"parallel_read_safe": True}
