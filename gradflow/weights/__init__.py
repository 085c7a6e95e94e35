"""From a file of trained parameters to recurrent layers in gradflow's layout.

`read` opens the file, `find_layers` says what is in it, `choose_net` gives the layers to analyse.
"""

from __future__ import annotations

from gradflow.weights.conventions import find_layers
from gradflow.weights.layers import RecurrentLayer
from gradflow.weights.readers import READERS, read, suffixes
from gradflow.weights.selection import PARAMETERS, choose_net, embedding, output_layer
from gradflow.weights.tensors import Stored, Tensors

__all__ = [
    "PARAMETERS",
    "READERS",
    "RecurrentLayer",
    "Stored",
    "Tensors",
    "choose_net",
    "embedding",
    "find_layers",
    "output_layer",
    "read",
    "suffixes",
]
