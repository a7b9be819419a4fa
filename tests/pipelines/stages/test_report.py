"""The report of a run and its figures: what they say is what the files say; the page in headless Chromium."""

import copy
import dataclasses
import json
import re
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from browser import chromium
from click.testing import CliRunner

from spikeseg.config.load import load_config
from spikeseg.learning.run_files import best_checkpoint
from spikeseg.pipelines.cli import main
from spikeseg.pipelines.stages import report as stage
from spikeseg.pipelines.stages import runs
from spikeseg.plots.windows import window_groups
from spikeseg.report import Absent, windows
from spikeseg.report import page as report_page
from spikeseg.report.figures import FIGURES
from spikeseg.report.page import figure_file, report_html
from spikeseg.report.sentences import sentences
from spikeseg.report.tables import detectors_table, recordings_table, work_table

LAID_OUT = """
return {
  wide: Math.max(0, document.documentElement.scrollWidth - innerWidth),
  broken: [...document.images].filter((image) => !image.naturalWidth).length,
  images: document.images.length,
  cut: [...document.querySelectorAll("figure, h1, h2, h3, p")].filter((e) => e.getBoundingClientRect().right > innerWidth).length,
  lost: [...document.querySelectorAll("nav a")].filter((link) => !document.querySelector(link.hash)).length,
};
"""


def test_those_are_looked_at_in_which_most_was_missed_or_invented():
    rows = [
        {"name": "b", "objects": 2, "found": 2, "false_tracks": 1},
        {"name": "c", "objects": 2, "found": 0, "false_tracks": 0},
    ]
    assert stage.worst({3: "a", 5: "b", 9: "c"}, rows, 2) == [5, 9]
    assert stage.worst({3: "a", 9: "c"}, [], 1) == [3]


@pytest.fixture(scope="module")
def made(chain):
    """The folder of the chain, in which a report has been made: what was printed, the page, the run."""
    printed = chain.ok("report", config=False)
    (run,) = (chain.folder / "runs").glob("tiny-*")
    return chain, printed, (run / "report.html").read_text(encoding="utf-8"), run


@pytest.fixture(scope="module")
def evidence(made):
    """What its report is made from, and the metrics."""
    chain, _, _, run = made
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(chain.folder)
        cfg = load_config(run / "config.yaml")
        found = stage.gather(cfg, run.relative_to(chain.folder)).evidence()
        assert found.seen and found.activity  # looked at while the folder is the current one
    (metrics,) = run.glob("evaluate/*/metrics.json")
    return found, json.loads(metrics.read_text())


def text(page):
    """What a reader reads."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.S))))


def test_the_page_is_one_file_without_scripts_and_addresses(made):
    _, printed, page, run = made
    assert re.fullmatch(
        r"wrote runs/tiny-\w+/report.html; next: spikeseg plot runs/tiny-\w+ filters -o filters.svg", printed.strip()
    )
    assert "<script" not in page and "http" not in page and set(re.findall(r'(?:src|href)="([^"#:]*:?)', page)) <= {"data:", ""}
    assert len(page) < 4_000_000 and (run / "config.yaml").read_text().splitlines()[0] in page


def test_a_report_is_not_made_twice_and_its_copy_is_the_page(made, monkeypatch):
    chain, _, page, run = made
    for verb in ("wrote", "up to date:"):  # of a copy that was not there, and of one that was
        assert chain.ok("report", f"runs/{run.name}", "-o", "copy.html", config=False).startswith(f"{verb} copy.html")
    assert (chain.folder / "copy.html").read_text(encoding="utf-8") == page
    (run / "report.html").unlink()
    assert chain.ok("report", run.name, config=False).startswith("wrote runs/")  # its name alone, too
    assert (run / "report.html").read_text(encoding="utf-8") == page


def test_a_run_is_meant_by_its_name_where_a_folder_of_that_name_is_none(made):
    chain, _, _, run = made
    (chain.folder / run.name).mkdir()  # of recordings, as `train --data-root own --name own` has it
    try:
        for words in (["report", run.name], ["plot", run.name, "filters"], ["export", run.name, "-o", "a.npz"]):
            assert chain(*words, config=False).exit_code == 0, words
        assert runs.named_run(Path(run.name), chain.folder / "runs") == run
    finally:
        (chain.folder / run.name).rmdir()
    mistyped = run.name.replace("tiny", "tinny")
    for words in (["report", mistyped], ["evaluate", "--network", mistyped]):
        assert chain.refused(*words, config=False).endswith(f"; nearest: {run.name}")
    assert "FIGURE: name one: windows, tracks" in chain.refused("plot", run.name, config=False)
    assert chain.refused("plot", run.name, "flters", config=False).endswith("; nearest: filters")
    assert chain.ok("plot", "filters", "-o", "newest.svg", config=False).startswith("wrote newest.svg; next: spikeseg report")
    assert chain.refused("train", "--resume", mistyped).endswith(f"; nearest: {run.name}")
    assert chain.refused("train", "--resume", "nights").endswith("lists the runs")  # it is no run


def test_what_was_found_is_what_was_scored(evidence):
    found, metrics = evidence
    rows = {row["name"]: row for row in metrics["modes"]["track"]["network"]["recordings"]}
    assert [seen.name for seen in found.seen] == metrics["recordings"] == [*rows]
    for seen in found.seen:
        verdict, row = seen.verdict, rows[seen.name]
        assert (len(verdict.found), len(verdict.found) + len(verdict.missed)) == (row["found"], row["objects"])
        assert len(verdict.false) == row["false_tracks"]


def test_the_area_under_each_curve_is_the_scored_one(evidence):
    found, metrics = evidence
    scored = metrics["modes"]["event"]
    assert [*found.curves] == [*scored] and "shuffled_labels" in scored
    for name, points in found.curves.items():
        x, y = np.array(points).T
        assert np.trapezoid(y, x) == pytest.approx(scored[name]["roc_auc"], abs=0.01), name


def test_five_sentences_and_the_tables_hold_the_figures(made, evidence):
    found, metrics = evidence
    told, shown = sentences(found), text(made[2])
    assert len(told) == 5 and all(sentence in shown for sentence in told)
    own = metrics["modes"]["track"]["network"]
    assert "learned from 3 recordings" in told[0] and "conv2 stopped after" in told[1]
    assert f"it found {own['found']} of {own['objects']} labelled object" in told[2] and "untrained network" in told[3]
    detectors, recordings, work = detectors_table(found), recordings_table(found), work_table(found)
    row = detectors.rows[detectors.strong[0]]
    assert row[:2] == ["trained network", f"{own['found']} of {own['objects']}"]
    assert [row[0] for row in recordings.rows] == metrics["recordings"]
    layers = found.activity.work
    assert [row[0] for row in work.rows] == ["conv1", "conv2", "conv3", "together"]
    assert work.rows[-1][6] == f"{sum(layer.operations for layer in layers):,}"
    assert all(row[0] in shown for table in (detectors, recordings, work) for row in table.rows)


def test_every_figure_has_panels_or_says_why_not(made, evidence):
    found, _ = evidence
    shown = text(made[2])
    for name, figure in FIGURES.items():
        try:
            groups = figure.groups(found)
        except Absent as why:
            assert name in ("missed", "false") and str(why) in shown
            continue
        assert figure.title in shown and all(group.title in shown and group.panels for group in groups), name
    assert figure_file(found, FIGURES["roc"], "pdf").startswith(b"%PDF")


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({}, r"connected blobs: \d+ in \d+ slices? of the window"),
        ({"hulk": True}, r"instances: \d+ groups? of \d+ spikes?"),
        ({"hulk": True, "smash": False}, r"instances: \d+ spikes?"),
        ({"scenes": True}, ""),
    ],
)
def test_a_window_is_cut_up_as_the_evaluated_detection_did_it(evidence, changes, counted):
    network, _ = evidence[0].network, evidence[0].seen
    cfg = dataclasses.replace(network.cfg, tracking=dataclasses.replace(network.cfg.tracking, **changes))
    (chosen, *_) = windows.chosen_windows(evidence[0].seen)
    view = windows.window_view(dataclasses.replace(network, cfg=cfg), chosen)
    (group,) = window_groups([view])
    captions = [panel.caption for panel in group.panels]
    assert re.fullmatch(counted, view.counted) and (view.counted in captions) == bool(counted)
    if "scenes" in changes:
        assert view.pieces is None and len(captions) == 3 and not any("instance" in caption for caption in captions)
    elif not changes:
        assert not view.pieces[view.saliency < network.readout.threshold].any()


def test_an_evaluation_without_curves_says_why_and_how_to_get_them(made, monkeypatch):
    monkeypatch.chdir(made[0].folder)
    (run,) = Path("runs").glob("tiny-*")
    cfg = load_config(run / "config.yaml")
    for content, told in (
        ({}, "no event is scored, or all are an object's"),
        (None, rf"before ROC curves were kept \(curves.json is missing\); `spikeseg evaluate --network {run} --force`"),
    ):
        monkeypatch.setattr(stage, "_curves", lambda _, content=content: content)
        with pytest.raises(Absent, match=told):
            FIGURES["roc"].groups(stage.gather(cfg, run).evidence())


def test_controls_are_one_clause_each(evidence):
    found, metrics = evidence
    titles, objects = metrics["detectors"], metrics["modes"]["track"]["network"]["objects"]
    told = sentences(found)[3]
    assert re.match(rf"Of the same {objects} objects? the controls find \d+ \({titles['untrained']}\) and \d+ \(", told)
    assert re.search(
        rf"; the ROC-AUC of events is [\d.]+ \({titles['network']}\), .* and [\d.]+ \({titles['shuffled_labels']}\)", told
    )


def test_names_are_text_of_the_page(evidence, monkeypatch):
    monkeypatch.setattr(report_page, "ORDER", ("recordings", "training"))
    found, metrics = copy.copy(evidence[0]), copy.deepcopy(evidence[1])
    bad = "<script>alert('&')</script>"
    (row,) = [row for row in metrics["modes"]["track"]["network"]["recordings"] if row["name"] == metrics["recordings"][0]]
    row["name"] = metrics["recordings"][0] = bad
    stopped = {layer: {**report, "stopped": bad} for layer, report in found.reports.items()}
    vars(found).update(metrics=metrics, reports=stopped, source=dataclasses.replace(found.source, name=bad, config=f"a: {bad}"))
    page = report_html(found)
    assert "<script" not in page and page.count("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;") > 5


def test_plot_writes_the_same_bytes_and_refuses_what_is_none(made):
    chain, _, _, run = made
    for name in ("one.svg", "two.svg"):
        assert chain.ok("plot", run.name, "roc", "-o", name, config=False).startswith(f"wrote {name}; next")
    assert (chain.folder / "one.svg").read_bytes() == (chain.folder / "two.svg").read_bytes()
    assert "must end in .png, .pdf, .svg" in chain.refused("plot", run.name, "roc", "-o", "roc.gif", config=False)
    for figure in (["confusion"], []):
        assert "windows, tracks, missed, false, roc" in chain.refused("plot", run.name, *figure, config=False)
    assert all(name in CliRunner().invoke(main, ["plot", "--help"]).output for name in FIGURES)


def test_what_a_run_does_not_have_is_said_in_its_place(copied):
    (run,) = (copied.folder / "runs").glob("tiny-*")
    shutil.rmtree(run / "evaluate")
    shutil.rmtree(copied.folder / "data_cache")
    (run / "metrics.jsonl").unlink()  # the end of training stands elsewhere, too
    copied.ok("report", config=False)
    shown = text((run / "report.html").read_text(encoding="utf-8"))
    assert shown.count("Not shown: ") == 9 and "data:image/png" in (run / "report.html").read_text(encoding="utf-8")
    assert f"the run has not been evaluated; `spikeseg evaluate --network runs/{run.name}` does it" in shown
    assert "are not in the cache (./data_cache); `spikeseg prepare -c " in shown
    assert "no figure roc: the run has not been evaluated" in copied.refused("plot", run.name, "roc", config=False)


def test_what_is_no_run_is_refused(made):
    chain, _, _, run = made
    assert "nights: comes with the package, so no run" in chain.refused("report", "nights", config=False)
    assert "no such run" in chain.refused("report", "nowhere", config=False)
    assert "a file; name the folder of its run" in chain.refused("report", best_checkpoint(run), config=False)
    assert "no run's folder (config.yaml is missing)" in chain.refused("report", "runs", config=False)
    assert "no finished run lies there" in chain.refused("report", "--set", "output_dir=empty", config=False)


def test_in_a_browser_nothing_is_cut_off_or_asked_of_a_network(made, tmp_path):
    driver = chromium(tmp_path)
    try:
        driver.get("about:blank")
        driver.get_log("performance")
        page = (made[3] / "report.html").as_uri()
        for width in (1280, 390):
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            driver.get(page)
            found = driver.execute_script(LAID_OUT)
            assert found.pop("images") > 15 and found == {"wide": 0, "broken": 0, "cut": 0, "lost": 0}, width
        told = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        asked = {entry["params"]["request"]["url"] for entry in told if entry["method"] == "Network.requestWillBeSent"}
        assert {url for url in asked if not url.startswith("data:")} == {page}
        assert [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
        assert len(driver.execute_cdp_cmd("Page.printToPDF", {})["data"]) > 10_000
    finally:
        driver.quit()
