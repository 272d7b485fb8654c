"""How Sphinx builds these pages: ``make docs``."""

from __future__ import annotations

import importlib
import os
import re
from contextlib import suppress
from typing import Any

# Command lines and signatures are drawn in a terminal of this width, whatever the one of whoever builds.
os.environ["COLUMNS"] = "100"

from docutils import nodes
from sphinx.util.inspect import TypeAliasForwardRef, stringify_signature
from sphinx.util.inspect import signature as read_signature

from kanrtl import __version__

project = "kanrtl"
author = "the kanrtl authors"
copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
]
exclude_patterns = ["images"]
# Every reference must lead somewhere; those of other projects, whose pages are not asked, are only shown.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!kanrtl).*")]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
autodoc_inherit_docstrings = False
# Shown as they are written; api/index says what they are.
TypeAliasForwardRef.__repr__ = lambda self: self.name  # type: ignore[method-assign]
autodoc_type_aliases = {"npt.ArrayLike": "ArrayLike", "Codes": "Codes", "Reals": "Reals", "Array": "Array"}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_rtype = False
# Attributes are listed, not indexed: many classes have a latency.
napoleon_custom_sections = [("Members", "params_style"), ("Attributes", "params_style")]

html_theme = "furo"
html_title = f"kanrtl {__version__}"
html_static_path = ["static"]
html_css_files = ["kanrtl.css"]
html_show_sourcelink = False
html_show_sphinx = False


def exists(name: str) -> bool:
    """Whether a dotted name leads to a module, or to something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        with suppress(ImportError, AttributeError):
            found: Any = importlib.import_module(".".join(parts[:count]))
            for part in parts[count:]:
                # Fields of dataclasses and attributes without a value are known by their annotation alone.
                found = None if part in getattr(found, "__annotations__", {}) else getattr(found, part)
            return True
    return False


def resolve_inside(_app: Any, _env: Any, node: Any, shown: Any) -> Any:
    """A reference to something of kanrtl that has no page, such as a part of the hardware, is shown without a link, if
    there is such a thing; where there is none, Sphinx warns."""
    target = node.get("reftarget", "")
    return shown if target.startswith("kanrtl.") and exists(target) else None


def skip_foreign(_app: Any, _what: str, _name: str, member: Any, skip: bool, _options: Any) -> bool | None:
    """What a class has from scikit-learn, river, pydantic or Amaranth is described there; fields of a named tuple are
    described in its docstring."""
    if str(getattr(member, "__doc__", "")).startswith("Alias for field number"):
        return True
    function = getattr(member, "fget", None) or getattr(member, "__func__", member)
    module = getattr(function, "__module__", None) or "kanrtl"
    return True if not skip and callable(function) and not module.startswith("kanrtl") else None


LONGEST_NAME = 40
"""Characters of a table's second column up to which they are a name, such as a device's."""


def mark_prose(_app: Any, document: nodes.document) -> None:
    """Tables whose second column has sentences get a class of their own: those are broken into lines."""
    for table in document.findall(nodes.table):
        cells = (row[1] for row in table.findall(nodes.row) if len(row) > 1)
        if any(len(cell.astext()) > LONGEST_NAME for cell in cells):
            table["classes"].append("prose")


plain: dict[str, list[str]] = {}


def set_aside(_app: Any, what: str, name: str, _member: Any, _options: Any, lines: list[str]) -> None:
    """The docstring of an attribute is a sentence; napoleon would take what is before a colon for a type."""
    if what in ("attribute", "data", "property"):
        plain[name] = list(lines)
        lines.clear()


def put_back(_app: Any, _what: str, name: str, _member: Any, _options: Any, lines: list[str]) -> None:
    lines[:] = plain.pop(name, lines)


def mend_signature(_app: Any, what: str, _name: str, member: Any, *event: Any) -> tuple[str | None, str | None]:
    """Components are called as their constructors say, not their metaclass; defaults that are made for each instance
    become an ellipsis."""
    _options, signature, returns = event
    if what == "class" and signature and "src_loc_at" in signature:
        signature = stringify_signature(
            read_signature(member.__init__, bound_method=True, type_aliases=autodoc_type_aliases),
            unqualified_typehints=True,
            show_return_annotation=False,
        )
    return signature and signature.replace("<factory>", "..."), returns


def marked(text: str) -> str:
    """Text of a help page whose options are code, and keep their hyphens."""
    return re.sub(r"(?<![\w`-])(--?\w[\w-]*)", r"``\1``", text)


def mark_options(_app: Any, _context: Any, lines: list[str]) -> None:
    lines[:] = [line if line.lstrip().startswith("..") else marked(line) for line in lines]


def name_groups(_app: Any, context: Any, lines: list[str]) -> None:
    """Options stand below the title of their group, as on the help page."""
    for group in getattr(context.command, "option_groups", ()):
        options = [option.opts[-1] for option in group.options]
        starts = [
            index
            for index, line in enumerate(lines)
            if line.startswith(".. option::") and any(option in re.split(r"[ ,]+", line) for option in options)
        ]
        lines[starts[0] : starts[0]] = [f".. rubric:: {marked(group.title)}", "   :heading-level: 5", ""]


def setup(app: Any) -> None:
    app.connect("missing-reference", resolve_inside)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("autodoc-process-docstring", set_aside, priority=400)  # napoleon has 500
    app.connect("autodoc-process-docstring", put_back, priority=600)
    app.connect("autodoc-process-signature", mend_signature)
    app.connect("doctree-read", mark_prose)
    for part in ("description", "options", "arguments"):
        app.connect(f"sphinx-click-process-{part}", mark_options)
    app.connect("sphinx-click-process-options", name_groups)
