"""The keys whose value is a mapping for which a bare name may be given: `cell: lstm`."""

from __future__ import annotations

from typing import Any

BARE = {
    "cell": "type",
    "input": "kind",
    "initial_state": "kind",
    "loss": "kind",
    "weights": "file",
    "measure": "type",
}
"""By such a key of a config, the key of its mapping that the bare name is the value of."""


def as_mapping(key: str, value: Any) -> Any:
    """The value at a key of the config, with the mapping in place of a bare name."""
    return {BARE[key]: value} if isinstance(value, str) else value
