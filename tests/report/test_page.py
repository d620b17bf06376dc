"""One file, no script, no request; every run folder gets a page, also a broken or unfinished one."""

import re
from html.parser import HTMLParser

import pytest

from homeostat.errors import RunError
from homeostat.report import page

VOID = {"meta", "br", "path"}


class Tags(HTMLParser):
    """Collects tags and attributes, and complains when they do not nest."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.tags = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()


def parsed(text):
    tags = Tags()
    tags.feed(text.removeprefix("<!doctype html>"))
    assert not tags.open
    return tags


@pytest.fixture(params=["icu_run", "battery_run", "chest_run", "halted_run"])
def any_run(request):
    return request.getfixturevalue(request.param)


def test_the_page_is_whole_and_asks_for_nothing(any_run):
    path = page.write(any_run)
    text = path.read_text()
    tags = parsed(text)
    assert path == any_run / "report.html"
    assert not tags.tags & {"script", "link", "img", "iframe", "object", "base"}
    for name, value in tags.attributes:
        assert name not in ("src", "href", "srcset", "xlink:href"), value
        assert not name.startswith("on"), value
    assert "@import" not in text
    assert "url(" not in text
    assert "http" not in text
    assert [p.name for p in any_run.iterdir() if p.name.startswith(".")] == []


def test_it_reads_on_a_phone_in_print_in_light_and_in_dark(icu_run):
    text = page.render(icu_run)
    assert 'name="viewport"' in text
    for query in ("prefers-color-scheme: dark", "@media print", "max-width: 48rem"):
        assert query in text


def test_the_first_screen_has_score_interval_trivial_and_yard_sticks(icu_run):
    first = page.render(icu_run).split("<section><h2>Scores")[0]
    for words in ("AUROC, test", "95% interval", "trivial predictor 0.500", "latent-ode", "xgboost"):
        assert words in first
    assert "What was checked" in first
    assert "What to distrust" in first


def test_every_figure_can_be_heard(any_run):
    text = page.render(any_run)
    for svg in re.findall(r"<svg [^>]*>", text):
        assert "aria-label=" in svg or 'aria-hidden="true"' in svg


def test_names_from_the_data_are_not_trusted_as_html(tmp_path, icu_run):
    moved = icu_run.rename(icu_run.with_name("<script>alert(1)<"))
    (moved / "config.json").write_text('{"recipe": "<img src=x>", "config": {"<b>": "</table>"}}')
    tags = parsed(page.render(moved))
    assert "script" not in tags.tags
    assert "img" not in tags.tags


def test_the_same_folder_gives_the_same_page(any_run):
    assert page.render(any_run) == page.render(any_run)


def test_writing_again_replaces_the_page(icu_run):
    (icu_run / "report.html").write_text("old")
    assert page.write(icu_run).read_text() != "old"


def test_a_run_without_anything_but_a_config_has_a_page(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert "not evaluated" in page.write(tmp_path).read_text()


def test_damaged_files_are_named_on_the_page(icu_run):
    (icu_run / "metrics.json").write_text("{")
    (icu_run / "predictions" / "test-xgboost.parquet").write_bytes(b"PAR1")
    text = page.render(icu_run)
    assert "metrics.json is not JSON" in text
    assert "is not a prediction file of Homeostat" in text


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="is not a run: it holds neither"):
        page.write(tmp_path)


def test_a_page_that_cannot_be_written_is_an_error_with_a_cure(halted_run):
    (halted_run / "report.html").mkdir()
    with pytest.raises(RunError, match=r"report\.html cannot be written: .* Make the folder writable"):
        page.write(halted_run)
    assert not list(halted_run.glob(".report.html.*"))
