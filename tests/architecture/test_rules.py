"""The rules of the house, read off the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "models", "matching", "services", "routes", "seeds", "benchmarks", "tests")
MAX_LINES = 400
# A file may be longer when splitting it would tear apart what belongs together; the reason stands here.
LONGER: dict[str, str] = {}

QUERIES = {
    "find",
    "find_one",
    "find_all",
    "aggregate",
    "count_documents",
    "insert",
    "insert_one",
    "insert_many",
    "update_one",
    "update_many",
    "replace_one",
    "delete_one",
    "delete_many",
    "get_pymongo_collection",
}


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Names of everything that is called in the file, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute):
                yield function.attr, node.lineno
            elif isinstance(function, ast.Name):
                yield function.id, node.lineno


def test_imports_flow_one_way():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_routes_never_query():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources("routes")
        for name, line in calls(path)
        if name in QUERIES
    ]
    assert not found


def test_only_routes_know_http_exceptions():
    found = [
        str(path.relative_to(ROOT))
        for path in sources("app", "models", "matching", "services", "seeds")
        if "HTTPException" in path.read_text(encoding="utf-8") and path.name != "factory.py"
    ]
    assert not found


def test_time_comes_from_one_clock():
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources("app", "models", "services", "routes", "seeds")
        if path != ROOT / "app" / "clock.py"
        for name, line in calls(path)
        if name in {"utcnow", "today"}
    ]
    found += [
        str(path.relative_to(ROOT))
        for path in sources("app", "models", "services", "routes", "seeds")
        if path != ROOT / "app" / "clock.py" and "datetime.now(" in path.read_text(encoding="utf-8")
    ]
    assert not found


def test_writes_avoid_find_and_modify():
    """It scans the collection on the embedded store, even by `_id`."""
    pictures = ROOT / "services" / "repairs" / "pictures.py"  # saves pictures, and knows no store
    names = {"find_one_and_update", "find_one_and_replace", "find_one_and_delete", "save", "save_changes", "upsert_one"}
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources("services", "routes", "seeds")
        if path != pictures
        for name, line in calls(path)
        if name in names
    ]
    assert not found


@pytest.mark.parametrize("package", PACKAGES)
def test_files_stay_short(package: str):
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources(package)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
        and str(path.relative_to(ROOT)) not in LONGER
    }
    assert not long, f"split them, or give the reason in LONGER: {long}"


def test_models_hold_no_logic():
    """A document has fields; the few functions allowed name a part of it or validate one."""
    allowed = {"subject_id", "payload", "current", "_without_control_characters"}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for path in sources("models")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in allowed
    ]
    assert not found


def test_no_index_expires_documents():
    """Once a minute the embedded store would read the whole collection of a TTL index, and hold up writes meanwhile.
    `services.expiry` removes what has expired instead: a model declares its `expiry`."""
    from models import ALL_DOCUMENTS

    indexes = [(model, index.document) for model in ALL_DOCUMENTS for index in getattr(model.Settings, "indexes", [])]
    assert not [model.__name__ for model, index in indexes if "expireAfterSeconds" in index]


def test_what_expires_is_found_by_an_index():
    """One that ends in `_id`: beside it there is room for the TTL index of an earlier release, which takes the instant
    alone, so that such a release still opens the store."""
    from services.expiry import EXPIRING

    for model in EXPIRING:
        keys = [list(index.document["key"]) for index in model.Settings.indexes]
        assert [model.Settings.expiry.field, "_id"] in keys, model


def test_every_collection_is_listed_once():
    from models import ALL_DOCUMENTS

    names = [document.Settings.name for document in ALL_DOCUMENTS]
    assert len(names) == len(set(names))
