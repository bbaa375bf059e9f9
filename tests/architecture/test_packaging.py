"""What is installed is what is here: modules, and the files that they read."""

from pathlib import Path

import pytest
from setuptools import Distribution

from tests.processes import ROOT

PACKAGES = ("app", "matching", "models", "routes", "seeds", "services")
LEFT_OUT = {"__pycache__", ".ruff_cache"}


@pytest.fixture
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("_at_the_root")
def test_a_wheel_has_every_file_of_the_packages():
    distribution = Distribution({"script_name": "setup.py"})
    distribution.parse_config_files()
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    packed = {Path(source) for _, _, source in build.find_all_modules()}
    packed |= {Path(folder, name) for _, folder, _, names in build.get_data_files_without_manifest() for name in names}
    there = {
        path
        for package in PACKAGES
        for path in Path(package).rglob("*")
        if path.is_file() and not LEFT_OUT.intersection(path.parts)
    }
    assert packed == there | {Path("server.py")}
