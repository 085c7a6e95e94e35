"""Results in a file, as the command writes them."""

from __future__ import annotations

import gradflow
from gradflow.formats import FORMATS, Look

SMALL = {"sequence_length": 6, "hidden_size": 3, "input_size": 2, "batch_size": 2}


def written(path, config):
    """The results of a config, their file, and how they are shown."""
    experiment = gradflow.load(config)
    results = gradflow.analyze(experiment)
    look = Look.of(experiment)
    path.write_text("".join(FORMATS["json"].show("results", results, look)))
    return results, look
