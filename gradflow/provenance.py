"""What a result was made with: what to look at where the same config gives other digits."""

from __future__ import annotations

import hashlib
import json
import platform

import numpy as np

from gradflow import __version__
from gradflow.machine import blas


def provenance(config: object) -> dict[str, object]:
    """Versions, the config's hash, and the linear algebra of this process.

    The same config on the same machine gives the same, however many processes share the work.

    Args:
        config: the config as plain data for JSON, every default filled in. Its hash is of what it
            says, not of what is in the files that it names.
    """
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return {
        "gradflow": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "blas": blas.library(),
    }
