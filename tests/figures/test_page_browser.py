"""The page in headless Chromium: by mouse, by keys, on a phone, by day and by night.

Skipped where there is no Chromium (Debian: `apt-get install chromium`; TITAN_CHROMIUM names one).
"""

import chromium
import pytest
from evidence_by_hand import evidence, judged, seeds

from titan_repro.claims.verdicts import Verdict
from titan_repro.figures.page.build import page
from titan_repro.paper.published import claims

PROGRAM = chromium.find()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium binary on this machine")

EDGES = """[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() &&
 !e.closest('.scroll') && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"""

CONTRAST = """(() => {
  const numbers = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = text => { const [r, g, b] = numbers(text).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const opaque = colour => (numbers(colour)[3] ?? 1) > 0 && colour !== 'transparent';
  const behind = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor; if (opaque(c)) return c; } };
  const poor = new Map();
  let seen = 0;
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('.vh') || e.tagName === 'title') continue;
    const style = getComputedStyle(e);
    const [a, b] = [e.closest('svg') ? style.fill : style.color, behind(e)].map(light);
    const found = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    if (found < 4.5) poor.set(e.tagName + '.' + (e.className.baseVal ?? e.className), found);
  }
  return [seen, [...poor]];
})()"""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """The page of made-up runs of a model of the paper, with every kind of verdict."""
    shared = {"task": "cifar10", "model": "alexnet", "rounds": 100}
    runs = [
        *seeds("rs", [0.50, 0.52, 0.54], **shared),
        *seeds("stratified", [0.51, 0.52, 0.56], **shared),
        *seeds("titan", [0.60, 0.62, 0.63], **shared),
        *seeds("ll", [0.20, 0.21, 0.22], **shared),
    ]
    ids = list(claims())
    verdicts = [
        judged(name, list(Verdict)[number % 5], runs=("run0",), value=1.0, seeds=3)
        for number, name in enumerate(ids)
    ]
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(page(evidence(*runs, judgements=verdicts), path), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    assert PROGRAM is not None
    with chromium.Browser(PROGRAM, tmp_path_factory.mktemp("profile")) as started:
        yield started


def shown(browser, selector: str) -> int:
    """Count the elements that can be seen."""
    return browser.ask(
        f"[...document.querySelectorAll({selector!r})].filter(e => e.checkVisibility()).length"
    )


def test_nothing_is_asked_of_the_network_and_the_console_is_silent(browser, address):
    browser.open(address)
    asked = [one["request"]["url"] for one in browser.told("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [address]
    for kind in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
        assert browser.told(kind) == []


def test_filters_show_the_claims_that_they_name(browser, address):
    browser.open(address)
    assert shown(browser, ".claim") == len(claims())
    browser.ask("document.querySelector('#verdict-holds').click()")
    assert shown(browser, ".claim") == shown(browser, ".claim.v-holds") == len(claims()) / 5
    browser.ask("document.querySelector('#source-fig-8').click()")
    both = shown(browser, ".claim.v-holds.o-fig-8")
    assert shown(browser, ".claim") == both > 0
    assert shown(browser, ".none") == 0
    browser.ask("document.querySelector('#source-lemma-1').click()")
    none = shown(browser, ".claim") == 0
    assert shown(browser, ".none") == int(none)


def test_a_claim_opens_and_leads_to_its_run(browser, address):
    browser.open(address)
    assert shown(browser, ".more dl") == 0
    browser.ask("document.querySelector('.claim summary').click()")
    assert shown(browser, ".more dl") == 1
    browser.ask("document.querySelector('.more a').click()")
    assert browser.ask("location.hash") == "#run-run0"
    assert shown(browser, "#run-run0") == 1  # its list has opened


def test_a_cell_opens_its_curves_by_keys_and_closes_again(browser, address):
    browser.open(address)
    cell = "[...document.querySelectorAll('.cell')].find(c => c.innerText.includes('titan'))"
    assert shown(browser, ".sheet") == 0
    browser.ask(f"{cell}.focus()")
    browser.press("Enter", 13)
    assert shown(browser, ".sheet") == 1
    lines = "document.querySelectorAll('.sheet:popover-open path.line').length"
    assert browser.ask(lines) == 3  # Titan's, that of rs, and the paper's below them
    assert "paper (C-IS)" in browser.ask("document.querySelector('.sheet:popover-open').innerText")
    browser.press("Escape", 27)
    assert shown(browser, ".sheet") == 0


def test_the_table_shows_one_quantity_at_a_time(browser, address):
    browser.open(address)
    for name in ("rounds", "time", "accuracy"):
        browser.ask(f"document.querySelector('#metric-{name}').click()")
        assert shown(browser, ".m") == shown(browser, f".m-{name}") > 0


def test_the_tab_key_reaches_everything_and_what_has_the_focus_is_seen(browser, address):
    browser.open(address)
    wanted = "a[href], summary, button, .scroll, input:checked"
    every = shown(browser, wanted)
    reached, unseen = set(), []
    for _ in range(every + 20):
        browser.press("Tab", 9)
        found = browser.ask(
            "[[...document.querySelectorAll('*')].indexOf(document.activeElement),"
            f" document.activeElement.matches({wanted!r}),"
            " getComputedStyle(document.activeElement).outlineStyle]"
        )
        if found[1]:
            reached.add(found[0])
            unseen += [found] if found[2] == "none" else []
    assert len(reached) == every
    assert unseen == []


def test_arrow_keys_choose_a_filter(browser, address):
    browser.open(address)
    browser.ask("document.querySelector('#verdict-all').focus()")
    browser.press("ArrowRight", 39)
    assert browser.ask("document.querySelector('#verdict-holds').checked")
    assert shown(browser, ".claim:not(.v-holds)") == 0


def test_a_phone_scrolls_down_only(browser, address):
    browser.open(address, width=375, height=800)
    browser.ask("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert browser.ask(EDGES) == []
    assert browser.ask("document.documentElement.scrollWidth") == 375
    browser.ask("document.querySelector('.cell').click()")
    box = "JSON.stringify(document.querySelector('.sheet:popover-open').getBoundingClientRect())"
    assert '"width":359' in browser.ask(box)  # within the phone, a margin on both sides


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_words_can_be_read(browser, address, scheme):
    browser.scheme(scheme)
    browser.open(address)
    browser.ask("document.querySelectorAll('details').forEach(d => { d.open = true })")
    browser.ask("document.querySelector('.cell').click()")
    seen, poor = browser.ask(CONTRAST)
    assert seen > 500
    assert poor == []
