"""The house holds: what no file may be, and what every file of hardware has."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import kanrtl
from support.tiers import diagonal

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "kanrtl").rglob("*.py"), *(ROOT / "boards").glob("*.py"), *(ROOT / "sim").glob("*.py")])
RTL = [path for path in SOURCES if path.parent.name == "rtl" and path.name != "__init__.py"]
PARTS = (FunctionType, classmethod, staticmethod, property, cached_property)


@cache
def trees() -> dict[Path, ast.Module]:
    """The syntax of every source; read once, where it is asked for."""
    return {path: ast.parse(path.read_text()) for path in SOURCES}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines(node: ast.AST) -> int:
    assert isinstance(node, (ast.ClassDef, ast.FunctionDef))
    return (node.end_lineno or 0) - node.lineno + 1


def public_parts(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """What a module defines for others: public functions and classes, and public methods and properties of those."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            yield name, value
        if inspect.isclass(value):
            for member, part in vars(value).items():
                if not member.startswith("_") and isinstance(part, PARTS):
                    yield f"{name}.{member}", getattr(value, member)


@pytest.mark.parametrize("counts", [(1, 1), (3, 2), (2, 4, 3), (6, 2, 2, 6)])
def test_every_value_of_stacked_parameters_is_on_the_diagonal(counts: tuple[int, ...]) -> None:
    for values, count in zip(zip(*diagonal(counts), strict=True), counts, strict=True):
        assert set(values) == set(range(count))


def test_no_module_is_long() -> None:
    long = {name_of(path): count for path in SOURCES if (count := len(path.read_text().splitlines())) > 500}
    assert not long


def test_no_component_is_long() -> None:
    long = {
        f"{name_of(path)}: {node.name}": lines(node)
        for path in RTL
        for node in ast.walk(trees()[path])
        if isinstance(node, ast.ClassDef) and lines(node) > 300
    }
    assert not long


def test_no_import_is_deferred_without_a_reason() -> None:
    """Beside it, or above it or those that it follows: an extra, a start that would take longer, or a door upward."""
    bare = []
    for path, tree in trees().items():
        text = path.read_text().splitlines()
        functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        inner = {node for function in functions for node in ast.walk(function)}
        for node in inner:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                first = node.lineno - 1
                while "#" not in text[first] and re.match(r" *(from|import) ", text[first - 1]):
                    first -= 1
                if "#" not in text[first] and not text[first - 1].lstrip().startswith("#"):
                    bare.append(f"{name_of(path)}: {text[node.lineno - 1].strip()}")
    assert not bare


def test_all_that_is_public_is_described() -> None:
    """Also by what it overrides, whose description Sphinx shows then."""
    modules = ["kanrtl", *(module.name for module in pkgutil.walk_packages(kanrtl.__path__, "kanrtl."))]
    modules += [
        f"kanrtl.{name_of(path)[:-3].replace('/', '.')}" for path in SOURCES if path.parts[-2] in ("boards", "sim")
    ]
    modules = [module for module in modules if not module.endswith("__init__")]
    bare = [
        f"{module}.{name}"
        for module in modules
        for name, value in public_parts(importlib.import_module(module))
        if not inspect.getdoc(value) and not name.endswith(".elaborate")
    ]
    assert not bare


@pytest.mark.parametrize("path", RTL, ids=name_of)
def test_hardware_has_a_unit_test_of_its_own(path: Path) -> None:
    test = ROOT / "tests" / path.relative_to(ROOT / "kanrtl").with_name(f"test_{path.name}")
    assert test.is_file()
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    assert re.search(rf"^from {re.escape(module)} import ", test.read_text(), re.MULTILINE)


def test_tests_are_arranged_as_the_package() -> None:
    """A folder of tests is a package of kanrtl, or one beside it."""
    beside = {"bench", "campaign", "docs", "examples", "proofs", "saved", "support"}
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    strange = [
        str(folder) for folder in folders if str(folder) not in beside and not (ROOT / "kanrtl" / folder).is_dir()
    ]
    assert not strange


def test_no_name_stands_for_two_things() -> None:
    files = Counter(path.name for path in SOURCES if path.name != "__init__.py")
    classes = Counter(
        node.name
        for tree in trees().values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in files.items() if count > 1] == []
    assert [name for name, count in classes.items() if count > 1] == []


def test_descriptions_of_functions_begin_in_one_mood() -> None:
    """``Write a file``, and nowhere ``Writes a file``."""
    verbs = {"Adds", "Checks", "Chooses", "Counts", "Draws", "Ends", "Finds", "Gives", "Learns", "Lets", "Makes"}
    verbs |= {"Prints", "Raises", "Reads", "Returns", "Runs", "Sends", "Sets", "Starts", "Takes", "Waits", "Writes"}
    strange = [
        f"{name_of(path)}: {node.name}"
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and {*(ast.get_docstring(node) or "").split()[:1]} & verbs
    ]
    assert not strange
