from __future__ import annotations

import pytest

from gradflow.files import opening


@pytest.fixture(scope="module", autouse=True)
def without_waiting(request):
    """Files made here are not waited for, but where they change while they are read."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        if request.module.__name__ != "test_changing_files":
            monkeypatch.setattr(opening, "MOMENT", 0.0)
        yield
