"""What all tests share: the helpers beside them, and how Hypothesis draws."""

import os
import sys
from pathlib import Path

from hypothesis import settings

from gradflow.blas import use_one_thread

use_one_thread()  # as the command does, before anything imports NumPy

sys.path.insert(0, str(Path(__file__).parent))

# A deadline measures the machine's other work; drawing the same examples keeps a pass a pass.
settings.register_profile("gradflow", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("gradflow")
