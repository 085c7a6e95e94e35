"""Pages on paper: whole, light, and no wider than the sheet."""

from __future__ import annotations

import pytest
from made_results import sweep

from gradflow.config.load import from_mapping
from gradflow.formats import FORMATS, Look
from gradflow.runs.runner import execute

pytestmark = pytest.mark.browser

SMALL = {"hidden_size": 6, "batch_size": 2, "sequence_length": 30, "input_size": 3}


def test_it_is_printed_whole_and_in_the_light(opened):
    import base64

    browser = opened(sweep(), dark=True, config={"cell": "rnn"})
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    assert base64.b64decode(printed).startswith(b"%PDF")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    hidden = browser.execute_script(
        "return [...document.querySelectorAll('.scroll')].map((one) => getComputedStyle(one))"
        ".map((style) => [style.overflow, style.maxHeight].join(' '))"
    )
    assert set(hidden) == {"visible none"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_wide_table_is_printed_with_every_column(opened):
    cells = [{"type": "rnn", "activation": "relu"}, "gru"]
    config = {**SMALL, "cell": cells, "ws_scale": [0, 0.5, 3], "measure": ["gates", "lyapunov"]}
    experiment = from_mapping(config)
    content = b"".join(FORMATS["html"].show("runs", list(execute(experiment)), Look.of(experiment)))
    browser = opened(content, width=680)  # as wide as the sheet
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    beyond = browser.execute_script(
        "return [...document.querySelectorAll('th, td')]"
        ".filter((one) => one.getBoundingClientRect().right > 681"
        " || one.scrollWidth > one.clientWidth + 1)"
        ".map((one) => one.textContent)"
    )
    assert len(browser.find_elements("css selector", "#figures-table tbody tr")) == 6
    assert beyond == []
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_the_frame_of_a_sheet_is_light(opened, theme):
    browser = opened(sweep(), theme=theme)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    scheme = "return getComputedStyle(document.documentElement).colorScheme"
    assert browser.execute_script(scheme) == "light"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_figure_is_printed_on_one_sheet(opened):
    """However tall it is, with its heading and its caption: of A4 or Letter within 15 mm."""
    pytest.importorskip("matplotlib")
    experiment = from_mapping(
        {
            **SMALL,
            "cell": "lstm",
            "layers": 2,
            "bidirectional": True,
            "measure": ["gates", "slopes", "jacobian", "lyapunov"],
        }
    )
    content = FORMATS["html"].show("results", list(execute(experiment)), Look.of(experiment))
    browser = opened(b"".join(content), width=680)  # as wide as the sheet
    height = "return document.querySelector('#figure').getBoundingClientRect().height"
    assert browser.execute_script(height) > 940
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert 500 < browser.execute_script(height) < (279 - 30) / 25.4 * 96
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
