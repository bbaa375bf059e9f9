"""The inner loops in C, as functions, where they have been compiled; `python -m matching.native` does it.

The compiler is the one in the wheel `ziglang`, needed for this alone. The library lies in the virtual environment under
a name that holds a hash of its source: one of another source is never loaded. It asks of the processor no more than
numpy does, so the environment may move to another one of its kind.
"""

import ctypes
import functools
import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

SOURCE = Path(__file__).parent
COMMAND = (
    "cc", "-std=c11", "-O3", "-Wall", "-Wextra", "-Wno-unused-parameter", "-shared", "-fPIC", "-s",
    # no C library
    "-ffreestanding", "-nostdlib", "-fvisibility=hidden",
    # every processor finds the same
    "-ffp-contract=off",
    # of Apple's linker: Python itself has what is missing
    *(("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()),
    "-mcpu=x86_64_v2" if platform.machine() == "x86_64" else "-mcpu=baseline",
)  # fmt: skip


def location() -> Path:
    """Where the compiled library for this source is, or would be."""
    digest = hashlib.blake2b(" ".join(COMMAND).encode(), digest_size=8)
    for path in sorted(SOURCE.glob("*.[ch]")):
        digest.update(path.read_bytes())
    return Path(sys.prefix) / "lib" / "efi" / f"kernels-{digest.hexdigest()}.so"


@functools.cache
def load() -> ModuleType | None:
    """The compiled functions by their names in `kernels`; None where there are none for this source and machine."""
    try:
        return _functions(location())
    except (OSError, AttributeError):
        return None


def build() -> None:
    """Raises CalledProcessError where there is no compiler or it fails, OSError where its result cannot be loaded."""
    path = location()
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        command = [sys.executable, "-m", "ziglang", *COMMAND, "-o", str(made), str(SOURCE / "kernels.c")]
        caches = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), folder)
        subprocess.run(command, check=True, env=os.environ | caches)  # noqa: S603 - a fixed command
        _functions(made)
        made.replace(path)


def _functions(path: Path) -> ModuleType:
    module = ModuleType("kernels")
    ctypes.PyDLL(str(path)).fill(ctypes.py_object(module))
    return module
