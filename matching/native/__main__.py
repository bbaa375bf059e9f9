"""Compiles the inner loops: `python -m matching.native`, once at installation."""

import subprocess
import sys

from matching import native

try:
    native.build()
except (subprocess.CalledProcessError, OSError, AttributeError) as error:
    sys.exit(f"The inner loops are not compiled: {error}")
