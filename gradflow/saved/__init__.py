"""Results read back from what `gradflow analyze --output NAME.json` wrote.

Every number is the one that was written, bit for bit, past float range too. Such a file comes from
anywhere: its size is bounded before it is read, and what is not as it should be is named by its
path.
"""

from gradflow.saved.file import (
    WRITTEN_BY,
    Saved,
    holds_results,
    load_results,
    read_results,
    refuse_foreign,
)

__all__ = ["WRITTEN_BY", "Saved", "holds_results", "load_results", "read_results", "refuse_foreign"]
