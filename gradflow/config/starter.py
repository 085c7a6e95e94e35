"""The config to start from, and the schema for editors; both made from the model itself."""

from __future__ import annotations

import json
import textwrap

from gradflow.config.model import Config
from gradflow.config.schema import schema

SCHEMA_NAME = "gradflow.schema.json"

_CHOSEN = {
    "title": "Gated cells keep the gradient",
    "cell": "[rnn, lstm, gru]",
    "sequence_length": "100",
    "ws_scale": "[0.5, 1.0, 1.5]",
}


def schema_text() -> str:
    """The JSON Schema of a config."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def starter_text() -> str:
    """A config that runs as it is: what is chosen, then every other key with its default. What is
    said of them is behind `## `: every line behind `# ` is a key, and can be uncommented."""
    lines = [
        f"# yaml-language-server: $schema={SCHEMA_NAME}",
        "## How far back does the gradient reach? Run: gradflow analyze FILE",
        "## Keys of the sweep take a list, or of numbers {from: 0.5, to: 2, count: 7, scale: log}.",
        "",
    ]
    for name, field in Config.model_fields.items():
        lines += [f"## {line}" for line in textwrap.wrap(field.description or "", 76)]
        lines.append(
            f"{name}: {_CHOSEN[name]}" if name in _CHOSEN else f"# {name}: {default_text(name)}"
        )
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def default_text(name: str) -> str:
    """The default of a key as YAML's flow style has it: `null` if there is none."""
    defaults = Config.model_validate({"cell": "rnn"})
    value = defaults.model_dump(mode="json", exclude_none=True).get(name, "null")
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict) and "kind" in value:  # the name alone is enough
        return str(value["kind"])
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {v}" for k, v in value.items()) + "}"
    return str(value)
