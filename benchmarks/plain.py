"""The engine without its compiled loops, for a comparison in one run."""

from collections.abc import Iterator
from contextlib import contextmanager

from matching import kernels, segment, vectors

_USED = {segment: ("exact", "group", "lookup", "sweep"), vectors: ("cosines", "hamming")}


@contextmanager
def plain_numpy() -> Iterator[None]:
    """Inside, the inner loops are numpy's."""
    before = {(module, name): getattr(module, name) for module, names in _USED.items() for name in names}
    try:
        for module, name in before:
            setattr(module, name, getattr(kernels, f"_{name}"))
        yield
    finally:
        for (module, name), kernel in before.items():
            setattr(module, name, kernel)
