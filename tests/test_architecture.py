"""Rules of the house that a machine can check."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("kvsync", "edge", "origin", "regional_gpu", "deploy", "bench")
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
TEXT = {".py", ".md", ".toml", ".txt", ".html", ".css", ".js", ".json", ".ini", ".conf", ".yml"}
# Written in halves, so that this file does not find itself.
UNFINISHED = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")


def _modules(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def _pages(*packages: str) -> list[Path]:
    """Modules that a person reads; a migration is a list of columns, however long."""
    return [path for path in _modules(*packages) if "migrations" not in path.parts]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _texts() -> Iterator[Path]:
    folders = [*PACKAGES, "tests", "docs", "scripts", ".ci"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    for path in [*files, *ROOT.glob("*")]:
        if path.is_file() and (path.suffix in TEXT or path.suffix == ""):
            yield path


def test_import_arrows_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports"))]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("path", _modules(*PACKAGES), ids=_name)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_bytes())), f"{_name(path)} has no docstring"


@pytest.mark.parametrize("path", _pages(*PACKAGES, "tests"), ids=_name)
def test_a_module_and_its_functions_fit_on_a_few_pages(path: Path) -> None:
    source = path.read_text()
    lines = len(source.splitlines())
    assert lines <= MAX_MODULE_LINES, f"{_name(path)} has {lines} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{_name(path)}: {node.name} has {length} lines"


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{_name(path)}: {word}"
        for path in _texts()
        for word in UNFINISHED
        if word in path.read_text(errors="replace")
    ]
    assert found == []


def test_every_error_has_a_reason_and_a_status_of_its_own_kind() -> None:
    from kvsync import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    for kind in kinds:
        assert issubclass(kind, errors.RehydrationError)
        assert 400 <= kind.status <= 599 and kind.reason.replace("-", "").isalpha()
        assert not issubclass(kind, errors.RequestError) or kind.status < 500
