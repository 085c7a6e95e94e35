"""Frameworks take seconds to load: not where none of these tests are run."""


def pytest_ignore_collect(config):
    return True if "not parity" in config.option.markexpr else None
