"""One file, no script, no request; every run folder gets a page, also a broken or unfinished one."""

import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from homeostat.errors import RunError
from homeostat.evaluate import summary
from homeostat.evaluate.predictions import read, write
from homeostat.files import write_json
from homeostat.report import figures, page

VOID = {"meta", "br", "path", "img"}


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


def style():
    return (Path(page.__file__).parent / "style.css").read_text()


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


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
    assert not tags.tags & {"script", "link", "iframe", "object", "base", "image", "use"}
    for name, value in tags.attributes:
        assert name not in ("href", "srcset", "xlink:href"), value
        assert name != "src" or value.startswith("data:image/png;base64,"), value
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


def test_the_first_screen_says_what_the_score_means_and_how_to_train_again(icu_run):
    config = json.loads((icu_run / "config.json").read_text())
    (icu_run / "environment.json").write_text(
        json.dumps({"command": ["homeostat", "train", config["recipe"]]})
    )
    first = page.render(icu_run).split("What was checked")[0]
    assert (
        '<p class="lead">The model surely beats a predictor that looks at nothing. It beats xgboost.</p>'
        in first
    )
    assert "the model ranks the first higher in 8" in first
    assert "<pre>homeostat train icu --data data\n" in first


def test_both_p_values_stand_wherever_one_does(icu_run):
    (comparison, *_) = json.loads((icu_run / "metrics.json").read_text())["comparisons"]
    changed = comparison | {"difference": 0.01, "low": -0.01, "high": 0.03, "p": 0.0123, "holm": 0.0369}
    edit(icu_run / "metrics.json", comparisons=[changed])
    text = page.render(icu_run)
    assert "p 0.012, corrected 0.037" in text.split("<section><h2>Scores")[0]
    assert 'data-head="p">0.012, corrected 0.037</td>' in text


def test_paper_holds_the_configuration_and_begins_with_a_full_page(icu_run):
    """The configuration is open, as paper cannot be clicked, and the two lists may be cut by the end of a page."""
    text = page.render(icu_run)
    assert re.search(r"<details open><summary>Configuration</summary>.*latent_dim", text)
    printed = style().split("@media print")[1]
    assert "details::details-content" in printed
    avoided = re.search(r"([^{}]*)\{ break-inside: avoid", printed)[1]
    assert ".two" not in avoided
    assert "section" not in avoided
    # Rules for narrow screens are not for paper, which is as narrow.
    assert "@media (max-width" not in style()


def test_on_a_phone_a_row_is_a_list_and_every_cell_says_its_column(any_run):
    text = page.render(any_run)
    for table in re.findall(r"<table.*?</table>", text, re.S):
        head = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table)
        for row in re.findall(r"<tr>(.*?)</tr>", table.split("</thead>")[1], re.S):
            assert re.findall(r'<td class="[^"]*" data-head="([^"]*)">', row) == head[1:]
    narrow = style().split("@media screen and (max-width: 40rem)")[1].split("@media print")[0]
    assert "display: block" in narrow
    assert "content: attr(data-head)" in narrow
    # Nothing has a width of its own that a phone lacks: 390 pixels are 24 rem.
    assert not re.findall(r"min-width: (?:2[0-9]|[3-9][0-9])rem", narrow)


def luminance(colour):
    """Return the relative luminance of WCAG 2.2."""
    digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_words_and_lines_can_be_read_on_every_background(scheme):
    """4.5 for text and 3 for what is drawn (WCAG 2.2, 1.4.3 and 1.4.11)."""
    start = {
        "light": 0,
        "dark": style().index("prefers-color-scheme: dark"),
        "print": style().index("@media print"),
    }
    block = re.search(r":root \{(.*?)\}", style()[start[scheme] :], re.S)[1]
    colour = dict(re.findall(r"--(\w+): #([0-9a-f]+);", block))
    for ground in ("paper", "card"):
        for name in ("ink", "quiet", "good", "bad"):
            assert contrast(colour[name], colour[ground]) >= 4.5, (name, ground)
        for name in ("s0", "s1", "s2", "s3", "s4", "s5"):
            assert contrast(colour[name], colour[ground]) >= 3, (name, ground)
    assert contrast(colour["ink"], colour["soft"]) >= 4.5


def test_a_page_is_written_within_a_second(any_run):
    page.render(any_run)  # the first one loads the libraries
    start = time.process_time()
    page.render(any_run)
    assert time.process_time() - start < 1


def test_every_figure_can_be_heard(any_run):
    text = page.render(any_run)
    for svg in re.findall(r"<svg [^>]*>", text):
        assert "aria-label=" in svg or 'aria-hidden="true"' in svg


HOSTILE = (
    "\"'/><script>alert(1)</script><img src=x onerror=y>\x1b[31m\x9b2J\u202e\ud800" + "long " * 40 + "e" * 400
)


def spoilt(value, key=""):
    """Put hostile text behind every text of a file that is not a word of the program's own."""
    if isinstance(value, dict):
        return {name: spoilt(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [spoilt(inner, key) for inner in value]
    own = {"kind", "split", "name", "score", "better", "severity", "time", "state", "fitted_on", "started"}
    return value + HOSTILE if isinstance(value, str) and key not in own else value


def test_no_text_of_any_file_is_trusted(any_run):
    names = set(parsed(page.render(any_run)).tags)
    for file in [*any_run.rglob("*.json"), *any_run.rglob("*.jsonl")]:
        if file.name != "ledger.jsonl":  # its lines are checked by their digests
            lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
            file.write_text("".join(json.dumps(spoilt(json.loads(line))) + "\n" for line in lines))
    text = page.write(any_run).read_text(encoding="utf-8")
    tags = parsed(text)
    assert tags.tags <= names | {"code", "em"}
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_no_name_in_the_predictions_is_trusted(icu_run):
    hostile = HOSTILE.replace("\ud800", "")
    for file in (icu_run / "predictions").glob("*.parquet"):
        p = read(file)
        groups = {f"sex{hostile}": [f"{value}{hostile}" for value in p.groups["sex"]]}
        names = tuple(f"{name}{hostile}" for name in p.names)
        file.unlink()
        write(replace(p, model=p.model + hostile, names=names, groups=groups), file)
    metrics = summary.of_run(icu_run, summary.Settings(resamples=50))
    write_json(icu_run / "metrics.json", metrics)
    tags = parsed(page.render(icu_run))
    assert not tags.tags & {"script", "img"}
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page.render(icu_run))


def test_a_very_long_name_stays_short_in_pictures(icu_run):
    file = icu_run / "predictions" / "test-latent-ode.parquet"
    p = replace(read(file), names=("death " * 100,))
    for figure in figures.binary(p, [], None):
        assert all(len(words) < 60 for words in re.findall(r"<text[^>]*>([^<]*)</text>", figure.svg))


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
