"""The page of a recording in headless Chromium: nothing asked of any network, no error, marks that come out, keys that work."""

import base64
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from browser import chromium

from spikeseg.data.datasets.files import entries
from spikeseg.detection.schema import STAR
from spikeseg.errors import InputError
from spikeseg.viewing.page import content, view_html
from spikeseg.viewing.review import Mark, Review, read_review

NAME = "night </script><b title='$data'>"
SAVED = """
const done = arguments[0];
const saved = {};
URL.createObjectURL = (blob) => { saved.blob = blob; return "blob:none"; };
HTMLAnchorElement.prototype.click = function () { saved.name = this.download; };
window.saved = () => saved.blob.text().then((text) => [saved.name, text]);
Promise.resolve(view.ready()).then(() => done(document.querySelectorAll("#cloud canvas").length));
"""
"""Has the page hand over what it would save, and waits for the cloud."""
BLIND = """
window.Plotly = { newPlot: () => { throw new Error("there is nothing to draw on"); } };
HTMLCanvasElement.prototype.getContext = ((get) => function (kind, ...more) {
  return kind.startsWith("webgl") ? null : get.call(this, kind, ...more);
})(HTMLCanvasElement.prototype.getContext);
"""
"""In the place of plotly: a browser without WebGL."""
LATER = """
const done = arguments[1];
const look = () => (view.state.t > arguments[0] ? done(view.state.t) : requestAnimationFrame(look));
look();
"""


class Browser:
    """Chromium with a page in it."""

    def __init__(self, profile):
        self.driver = chromium(profile)
        from selenium.webdriver import Keys

        self.keys = Keys
        self.opened = set()
        self.driver.get("about:blank")
        self.requests()

    def requests(self):
        """Addresses that were asked for since the last call."""
        told = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [entry["params"]["request"]["url"] for entry in told if entry["method"] == "Network.requestWillBeSent"]

    def open(self, path):
        """Load a page; -> canvases of its cloud."""
        self.opened.add(path.as_uri())
        self.driver.get(path.as_uri())
        return self.driver.execute_async_script(SAVED)

    def reload(self, script, expected):
        """Load the page again until a script gives what is expected: the page that loads may be in another process of Chromium,
        to which what this one keeps comes when it comes."""
        for _ in range(1000):
            self.driver.refresh()
            if (found := self.run(script)) == expected:
                return
        raise AssertionError(f"{script}: {found}, not {expected}")

    def press(self, *keys):
        """Type, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def run(self, script):
        """What a script gives."""
        return self.driver.execute_script(f"return {script}")

    def saved(self):
        """Name and text of what the page saved last."""
        return self.driver.execute_async_script("window.saved().then(arguments[0])")

    def faultless(self):
        """The pages since the last call asked for nothing but themselves, and the console has no error."""
        addresses = [url for url in self.requests() if not url.startswith("data:")]
        errors = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert (set(addresses), errors) == (self.opened, [])
        self.opened = set()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One for all tests of this file."""
    mine = Browser(tmp_path_factory.mktemp("profile"))
    yield mine
    mine.driver.quit()


def page_of(detections, path, review=None):
    path.write_text(view_html(detections, review, others=STAR), encoding="utf-8")
    return path


@pytest.fixture
def light(monkeypatch):
    """Pages without plotly, which takes the browser seconds, and so without the cloud."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "window.Plotly = undefined;")


def test_marks_come_out_by_the_keyboard_as_labels_and_as_a_review(browser, makers, tmp_path):
    night = makers[0](NAME)
    assert browser.open(page_of(night, tmp_path / "night.html")) > 0
    assert browser.driver.title == NAME and browser.run("document.querySelector('h1').textContent") == NAME
    facts = browser.run("document.getElementById('facts').textContent")
    assert all(part in facts for part in ("40 × 30 pixels", "160 events", "3 objects, 1 star"))
    browser.press("r", browser.keys.ARROW_DOWN, "w", "j", "r", "?", "s", "e")
    visible = "document.getElementById('cloud').data.map((trace) => trace.visible !== false)"
    assert browser.run(visible) == [False, False, False, False, True, True, True]
    assert browser.run("Object.values(view.state.marks)") == ["right", "wrong", "right"]
    assert browser.run("document.getElementById('tally').textContent") == "3 of 3 marked: 2 right, 1 wrong, 0 unsure"
    pressed = "[...document.querySelectorAll('#rows button')].map((b) => b.getAttribute('aria-pressed') === 'true')"
    assert np.flatnonzero(browser.run(pressed)).tolist() == [0, 4, 6]
    browser.press("v")
    name, text = browser.saved()
    assert name == f"{NAME}.review.json"
    (tmp_path / "saved").write_text(text)
    review = read_review(tmp_path / "saved")
    assert [(mark.object_id, mark.mark) for mark in review.marks] == [(1, "right"), (2, "wrong"), (4, "right")]
    browser.press("l")
    name, text = browser.saved()
    assert name == f"{NAME}.labels.csv"
    folder = tmp_path / "recordings"
    folder.mkdir()
    np.savez(folder / "night.npz", **{key: night.events[key] for key in "txyp"}, sensor_size=np.array(night.sensor_size))
    (folder / "night.labels.csv").write_text(text)
    labels = entries(folder)[0].load(False).labels
    own = night.tracks[np.isin(night.tracks["track_id"], [1, 4])]
    own = own[np.lexsort([own["track_id"], own["t_us"]])]
    for label, column in (("t", "t_us"), ("x", "x"), ("y", "y"), ("id", "track_id")):
        assert labels[label].tolist() == own[column].tolist()
    browser.press("x")  # the mark is taken away
    assert "not decided" in browser.run("document.getElementById('advice').textContent")
    browser.press("l")
    assert set(re.findall(r",(\d+)\n", browser.saved()[1])) == {"1"}
    browser.faultless()


def test_marks_outlive_a_reload_and_those_of_a_review_are_shown(browser, makers, tmp_path, light):
    night = makers[0]()
    path = page_of(night, tmp_path / "night.html")
    browser.open(path)
    browser.press("u")
    assert browser.run("Object.values(view.state.marks)") == ["unsure", "", ""]
    browser.reload("Object.values(view.state.marks)", ["unsure", "", ""])
    rows = night.tracks[night.tracks["track_id"] == 4]
    known = Mark(9, "wrong", rows["t_us"], rows["x"], rows["y"])
    gone = Mark(1, "right", rows["t_us"], rows["x"] - 20, rows["y"])
    browser.open(page_of(night, tmp_path / "again.html", Review("night", [known, gone])))
    assert browser.run("Object.entries(view.state.marks)") == [["1", ""], ["2", ""], ["4", "wrong"], ["5", "right"]]
    assert "before" in browser.run("document.querySelector('#rows tr:last-child').textContent")
    assert browser.run("view.labels()").splitlines()[1] == f"{rows['t_us'][0]},{rows['x'][0] - 20:g},{rows['y'][0]:g},5"
    browser.faultless()


def test_time_plays_and_objects_are_chosen(browser, makers, tmp_path, light):
    browser.open(page_of(makers[0](seconds=2.0), tmp_path / "night.html"))
    browser.press(" ")
    assert browser.run("view.state.playing")
    later = browser.driver.execute_async_script(LATER, browser.run("view.state.t"))
    browser.press(" ")
    assert later > 0 and not browser.run("view.state.playing")
    before = browser.run("view.state.t")
    browser.press(browser.keys.ARROW_RIGHT)
    assert browser.run("view.state.t") == pytest.approx(min(before + browser.run("view.state.window"), browser.run("view.end")))
    browser.run("document.querySelectorAll('#rows tr')[2].click()")
    assert browser.run("view.state.chosen") == 2
    browser.faultless()


def test_without_webgl_the_rest_works_and_an_empty_recording_says_so(browser, makers, tmp_path, monkeypatch):
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: BLIND)
    found, nothing = makers
    assert browser.open(page_of(found(), tmp_path / "night.html")) == 0
    assert browser.driver.find_element("id", "no-webgl").is_displayed()
    assert not browser.driver.find_element("id", "cloud").is_displayed()
    browser.press("r")
    assert len(browser.run("view.labels()").splitlines()) == 11
    assert browser.driver.find_element("id", "frame").size["height"] > 100
    browser.open(page_of(nothing(), tmp_path / "dark.html"))
    assert browser.driver.find_element("id", "empty").text == "This recording holds no events."
    browser.press("r", "j", "l", " ", browser.keys.ARROW_RIGHT)
    assert browser.run("view.labels()") == "t_us,x,y,id\n"
    browser.faultless()


def unpacked(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype)


def test_the_page_holds_the_result(night):
    told = content(night)
    columns = night.event_columns
    assert unpacked(told["events"]["t"], "<f4") == pytest.approx((columns["t"] - columns["t"][0]) / 1e6, abs=1e-6)
    for name, column, dtype in (("x", "x", "<u2"), ("y", "y", "<u2"), ("on", "p", "u1"), ("owner", "object_id", "<i4")):
        assert unpacked(told["events"][name], dtype).tolist() == columns[column].tolist()
    assert not unpacked(told["events"]["far"], "u1").any()
    assert [o["object_id"] for o in told["objects"]] == [1, 2, 4] and [s["track_id"] for s in told["stars"]] == [3]
    first = night.tracks[:10]
    for name in ("t_us", "x", "y", "width", "height"):
        assert told["objects"][0][name] == first[name].tolist()
    assert (told["start_us"], told["end_us"]) == (columns["t"][0], columns["t"][-1]) and told["event_count"] == 160
    assert told["objects"][1]["speed"] == night.objects["speed"][1]


def test_a_long_recording_is_thinned_in_two_steps(night, monkeypatch):
    monkeypatch.setattr("spikeseg.viewing.page.MOST_EVENTS", 100)
    monkeypatch.setattr("spikeseg.viewing.page.MOST_IN_CLOUD", 60)
    events = content(night)["events"]
    track, near = unpacked(events["owner"], "<i4"), unpacked(events["far"], "u1") == 0
    assert len(track) == 100 and near.sum() == 60
    assert np.isin(track, [1, 2, 4]).sum() == 30 and np.isin(track[near], [1, 2, 4]).sum() == 30


def test_a_clock_that_began_long_before_counts_from_the_first_event(makers):
    assert content(makers[0](start_us=5_000_000))["origin_us"] == 0
    late = content(makers[0](start_us=1_744_227_144_732_712))
    assert late["origin_us"] == late["start_us"] > 1_744_227_144_732_711


def test_equal_results_give_equal_pages_that_forbid_requests(night):
    page = view_html(night)
    assert page == view_html(replace(night)) and "default-src 'none'" in page
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=\"(?!data:)", page.partition("<script")[0])


def test_without_plotly_the_extra_is_named(night, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(InputError, match=r"--view needs plotly; install it with: pip install 'spikeseg\[view\]'"):
        view_html(night)
