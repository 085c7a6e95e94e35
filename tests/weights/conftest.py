"""Names the marker of the tests that try thousands of files."""


def pytest_configure(config):
    config.addinivalue_line("markers", "fuzz: thousands of mutated files; takes half a minute")
