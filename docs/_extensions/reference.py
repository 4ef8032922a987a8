"""Sphinx directives for the API reference, `sparklr-class` and `sparklr-function`."""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from reference_text import class_text, found, marked_up, param_rows, param_table, with_params
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import NumpyDocstring

NAPOLEON = Config(napoleon_use_ivar=True, napoleon_use_rtype=False)


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
    """Show no arguments of a class: Params are in its table, other classes are made by members."""
    if what == "class" and not issubclass(kind, BaseException):
        return ("(*, ...)" if "_input_kwargs" in vars(kind).get("__annotations__", {}) else ""), ""
    return ("(*, ...)", returned) if name.endswith(".setParams") else None


def marked(app: Sphinx, what: str, name: str, kind: Any, options: Any, lines: list[str]) -> None:
    """Turn a numpydoc docstring into reStructuredText.

    Napoleon is not loaded as an extension: it takes what stands before a colon in the first line of
    a property for its type.
    """
    what = "method" if what == "property" else what
    text = NumpyDocstring(marked_up(lines), NAPOLEON, app, what, name, kind, options)
    lines[:] = str(text).splitlines()


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("sparklr-class", ClassEntry)
    app.add_directive("sparklr-params", ParamTable)
    app.connect("autodoc-process-signature", shown_signature)
    app.connect("autodoc-process-docstring", marked)
    return {"parallel_read_safe": True}
