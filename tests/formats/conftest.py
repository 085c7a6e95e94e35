from __future__ import annotations

import pytest
from made_results import SAMPLES


@pytest.fixture(params=SAMPLES)
def results(request):
    return SAMPLES[request.param]()
