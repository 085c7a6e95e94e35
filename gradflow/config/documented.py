"""Every key of the config as a Markdown table, from the model itself."""

from __future__ import annotations

from gradflow.config.model import SWEPT, Config
from gradflow.config.starter import default_text


def table() -> str:
    """`key | default | meaning`, a row a key in the order of the model; + marks those that may be
    a list, which is swept."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in Config.model_fields.items():
        key = f"`{name}` +" if name in SWEPT else f"`{name}`"
        default = "–" if field.is_required() else f"`{default_text(name)}`"
        default = default.replace("`null`", "none")
        meaning = (field.description or "").replace("|", r"\|")
        rows.append(f"| {key} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"
