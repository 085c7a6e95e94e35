"""Pages in a headless Chromium: they work by mouse and by keyboard, in the light and in the dark,
on a phone, and for people who do not see them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from formats.made_results import made, sweep
from formats.test_page import HOSTILE, REPORTS, content_of
from formats.thousand_runs import thousand_runs
from gradflow.config.load import from_mapping
from gradflow.formats import FORMATS, Look
from gradflow.runs.runner import execute

pytestmark = pytest.mark.browser

SMALL = {"hidden_size": 6, "batch_size": 2, "sequence_length": 30, "input_size": 3}
_COUNTED = "return document.querySelectorAll('#runs-table tbody tr:not([hidden])').length"


@pytest.fixture(scope="module")
def thousand():
    """The page of a thousand runs."""
    return b"".join(FORMATS["html"].show("results", thousand_runs(), Look()))


def column(browser, number, table="runs-table"):
    """The texts of a column, of the rows that are shown."""
    return browser.execute_script(
        "return [...document.getElementById(arguments[0]).tBodies[0].rows]"
        ".filter((row) => !row.hidden).map((row) => row.cells[arguments[1]].textContent)",
        table,
        number,
    )


def head(browser, text):
    """The number of a column, and the button in its head."""
    heads = browser.find_elements("css selector", "#runs-table thead th")
    found = next(at for at, one in enumerate(heads) if one.text.startswith(text))
    return found, heads[found].find_element("css selector", "button")


@pytest.mark.parametrize("report", REPORTS)
def test_the_console_stays_empty(opened, report):
    browser = opened(content_of(report), report, title=HOSTILE)
    assert browser.get_log("browser") == []
    assert browser.title.startswith("</script><script>alert(1)")


def test_the_log_would_tell_of_what_the_policy_forbids(opened):
    browser = opened(sweep())
    browser.execute_script(
        "const one = document.createElement('script'); one.textContent = '1';"
        "document.body.append(one)"
    )
    assert "Content Security Policy" in browser.get_log("browser")[0]["message"]


def test_a_head_sorts_by_click_and_by_key(opened):
    from selenium.webdriver import ActionChains, Keys

    browser = opened(sweep())
    at, button = head(browser, "rate")
    before = column(browser, at)
    ascending = ["0.4500", "0.6200", "0.8400", "0.9810", "1.1100", "–"]
    button.click()
    assert column(browser, at) == ascending
    [sorted_by] = browser.find_elements("css selector", "[aria-sort]")
    assert sorted_by.get_attribute("aria-sort") == "ascending"
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    assert column(browser, at) == [*ascending[4::-1], "–"]
    assert sorted_by.get_attribute("aria-sort") == "descending"
    ActionChains(browser).send_keys(Keys.SPACE).perform()
    assert column(browser, at) == before
    assert not browser.find_elements("css selector", "[aria-sort]")


def test_numbers_sort_by_size_past_float_range_and_words_by_letter(opened):
    found = [made(n, rate=rate, T=2000, ws_scale=float(n), varied=("ws_scale",))
             for n, rate in enumerate((0.5, 1.5, 0.9, 1.0, 0.2))]  # fmt: skip
    browser = opened(found)
    for name, order in {
        "horizon": ["4", "0", "1", "2", "3"],
        "verdict": ["1", "3", "4", "0", "2"],
        "run": ["0", "1", "2", "3", "4"],
    }.items():
        head(browser, name)[1].click()
        assert column(browser, 0) == order, name
    browser.execute_script("document.querySelector('#lags-table thead button').scrollIntoView()")
    last = column(browser, 5, "lags-table")
    assert last[-1].startswith("↓") or "e-1" in last[-1]
    browser.find_elements("css selector", "#lags-table thead button")[5].click()
    assert column(browser, 5, "lags-table") == last[::-1]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("", 1000),
        ("lstm", 500),
        ("lstm seed=3", 100),
        ("ws_scale>=10 ws_scale<12 cell=rnn", 20),
        ("horizon>100", None),
        ("no such thing", 0),
        ("<b>", 0),
        ("seed=3 lstm", 100),
        ("seed!=3", 900),
        ("ws_scale >= 10 ws_scale<12  cell = rnn", 20),
        ("lstm rate per step>0", 500),
        ("cell!=rnn", 500),
    ],
)
def test_rows_are_filtered_by_words_and_bounds(opened, thousand, asked, shown):
    browser = opened(thousand)
    browser.find_element("css selector", "#runs-table-filter").send_keys(asked)
    found = browser.execute_script(_COUNTED)
    if shown is None:
        horizons = column(browser, head(browser, "horizon")[0])
        assert horizons
        assert all(text.startswith(">") for text in horizons)
    else:
        assert found == shown
    said = browser.find_element("css selector", ".filter output").text
    assert said == (f"{found:,} of 1,000 rows" if asked else "1,000 rows")


@pytest.mark.parametrize(
    "asked",
    [
        "nosuch>3",
        "horizon>abc",
        "cell>=lstm",
        "rate>0,8",
        "horizon>5_0",
        "rate>0.8x",
        "horizon>",
        "half_life=",
        "rate>=",
        "rate=0,8",
        "rate==0.8",
    ],
)
def test_a_bound_that_is_not_understood_is_told_and_hides_nothing(opened, thousand, asked):
    browser = opened(thousand)
    browser.find_element("css selector", "#runs-table-filter").send_keys(asked)
    said = browser.find_element("css selector", ".filter output").text
    assert said == f"1,000 rows; not understood: {asked}"
    assert browser.execute_script(_COUNTED) == 1000


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("cell=lstm", 2),
        ("cell=LSTMP", 2),
        ("cell!=lstm", 6),
        ("cell=stm", 0),
        ("lstm", 6),
        ("cell=layernorm_lstm", 2),
        ("ws_scale>\N{MINUS SIGN}1", 8),
        ("ws_scale=1", 4),
        ("ws_scale<inf", 8),
        ("ws_scale>1,000", 0),
    ],
)
def test_words_are_whole_where_a_bound_names_them(opened, asked, shown):
    cells = ("rnn", "lstm[forget_bias=0.0]", "lstmp", "layernorm_lstm")
    runs = [
        made(0, cell, ws_scale=scale, varied=("cell", "ws_scale"))
        for cell in cells
        for scale in (1.0, 2.0)
    ]
    browser = opened(runs)
    browser.find_element("css selector", "#runs-table-filter").send_keys(asked)
    assert browser.execute_script(_COUNTED) == shown
    said = browser.find_element("css selector", ".filter output").text
    assert said == f"{shown} of 8 rows"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("ws_scale=0", "1 of 8 rows"),
        ("hidden_size=64", "8 of 8 rows"),
        ("total>1", "8 rows; not understood: total>1"),  # the begin of several heads
        ("rate>0.5", "8 of 8 rows"),  # a head, and the begin of others
        ("vanishing0", "0 of 8 rows"),  # of two fields
        ("zero0", "0 of 8 rows"),
    ],
)
def test_every_table_knows_the_keys_and_tells_fields_apart(opened, asked, said):
    runs = [made(run, ws_scale=float(run), varied=("ws_scale", "hidden_size")) for run in range(8)]
    browser = opened(runs, "runs")
    browser.find_element("css selector", "#figures-table-filter").send_keys(asked)
    bar = browser.find_element("css selector", "#figures-table-filter + output")
    assert bar.text == said


def test_minus_infinity_is_below_every_number(opened):
    """The smallest exponents of cells that forget a part of their state at once."""
    experiment = from_mapping(
        {"cell": ["rnn", "lstmp"], "ws_scale": [0.5, 1, 1.5], "measure": "lyapunov", **SMALL}
    )
    browser = opened(list(execute(experiment)))
    table = "measure-lyapunov-table"
    heads = browser.find_elements("css selector", f"#{table} thead th")
    at = [head.text for head in heads].index("sum")
    assert column(browser, at, table).count("-inf") == 3
    heads[at].find_element("css selector", "button").click()
    assert column(browser, at, table)[:3] == ["-inf"] * 3


@pytest.mark.parametrize("config", [{"cell": "lstm", "measure": ["gates", "slopes"]}])
def test_tables_of_eight_rows_or_more_filter_and_no_others(opened, config):
    experiment = from_mapping({**SMALL, **config, "sequence_length": 40})
    browser = opened(list(execute(experiment)), measures=("gates", "slopes"))
    found = browser.execute_script(
        "return [...document.querySelectorAll('.table')].map((one) =>"
        " [one.querySelectorAll('tbody tr').length, !!one.querySelector('.filter')])"
    )
    assert any(rows >= 8 for rows, _ in found)
    assert any(rows < 8 for rows, _ in found)
    assert all(is_filtered == (rows >= 8) for rows, is_filtered in found)


def test_everything_is_reached_with_the_tab_key_and_seen_to_be(opened):
    from selenium.webdriver import ActionChains, Keys

    browser = opened(sweep())
    wanted = browser.execute_script(
        "return document.querySelectorAll('a, button, input, summary, [tabindex=\"0\"]').length"
    )
    names = set()
    for _ in range(wanted + 2):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        width, style, name = browser.execute_script(
            "const one = document.activeElement, style = getComputedStyle(one);"
            "return [style.outlineWidth, style.outlineStyle, one.outerHTML.slice(0, 60)]"
        )
        if not name.startswith("<body"):
            assert style != "none", name
            assert width != "0px", name
            names.add(name)
    assert len(names) >= wanted * 0.8  # some look alike


def test_the_dark_is_dark(opened):
    pytest.importorskip("matplotlib")
    colours = (
        "const of = (one, what) => getComputedStyle(document.querySelector(one))[what];"
        "return [of('body', 'backgroundColor'), of('body', 'color'), of('.drawing text', 'fill')]"
    )
    light = opened(sweep()).execute_script(colours)
    dark = opened(sweep(), dark=True).execute_script(colours)
    paper, ink, label = (sum(map(int, one[4:-1].split(", "))) for one in light)
    assert paper > 600 > 300 > max(ink, label)
    paper, ink, label = (sum(map(int, one[4:-1].split(", "))) for one in dark)
    assert paper < 150 < 500 < min(ink, label)


@pytest.mark.parametrize("report", REPORTS)
def test_on_a_phone_nothing_sticks_out(opened, report):
    browser = opened(content_of(report), report, width=400, title=HOSTILE * 3)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("report", REPORTS)
def test_axe_finds_nothing_serious(opened, report, dark):
    spec = find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-core is not here: pip install --no-deps axe-playwright-python")
    axe = Path(spec.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    browser = opened(content_of(report), report, dark=dark)
    browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    browser.execute_script(axe)
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run().then((found) => done(found.violations), (error) => done(String(error)))"
    )
    assert isinstance(found, list), found
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    assert not grave, json.dumps(
        [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in grave], indent=1
    )


def test_a_thousand_runs_are_below_5_mb_and_take_two_seconds_of_the_processor(opened, thousand):
    """Of the process that shows the page: waiting for others does not count."""
    assert len(thousand) < 5e6
    spent = []
    for _ in range(2):
        browser = opened(thousand)
        browser.execute_cdp_cmd("Performance.enable", {})
        metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        spent.append(next(one["value"] for one in metrics if one["name"] == "ProcessTime"))
    assert browser.execute_script(_COUNTED) == 1000
    assert 0 < spent[1] - spent[0] < 2
