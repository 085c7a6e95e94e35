"""A sweep of a thousand runs, whose curves are known."""

from __future__ import annotations

import numpy as np

from formats.made_results import made


def thousand_runs():
    """Two cells by fifty scales by ten seeds."""
    rng = np.random.default_rng(0)
    varied = ("cell", "ws_scale", "seed")
    return [
        made(
            n,
            ("rnn", "lstm")[n % 2],
            rate=float(rng.uniform(0.5, 1.1)),
            seed=n % 10,
            ws_scale=float(n // 20),
            varied=varied,
        )
        for n in range(1000)
    ]
