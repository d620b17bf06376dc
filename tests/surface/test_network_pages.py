"""The pages show a network of one's own for each recipe. It is trained, and what does not fit ends as shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from homeostat import cli
from homeostat.recipes import RECIPES
from homeostat.run import Run

DOCS = Path(__file__).resolve().parents[2] / "docs"
HEADING = "\n## A network of your own\n"
# How each page's network becomes one that does not fit, as the page says it.
MISFIT = {
    "battery": ("[..., 0]", ""),
    "cell": ("[:, 0]", ""),
    "icu": ("nn.Linear(32 + static, outputs)", "nn.Linear(32 + static, 1)"),
}


class Section(NamedTuple):
    source: str
    commands: list[list[str]]
    sentence: str


def section(recipe: str) -> Section:
    """The section of a recipe's page; its commands with the preset of tests."""
    page = (DOCS / f"{recipe}.md").read_text(encoding="utf-8")
    text = page.split(HEADING)[1].split("\n## ")[0]
    (source,) = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    (sentence,) = re.findall(r"^```\n(error: .*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^homeostat (.*)$", text, flags=re.MULTILINE)
    return Section(source, [line.replace("preset demo", "preset smoke").split() for line in lines], sentence)


@pytest.fixture(params=sorted(RECIPES))
def shown(request: pytest.FixtureRequest, outside: Path) -> tuple[str, Section]:
    return request.param, section(request.param)


def test_the_network_trains_and_is_scored(shown: tuple[str, Section]) -> None:
    _, page = shown
    Path("my_net.py").write_text(page.source)
    simulate, train, evaluate = page.commands
    for words in (simulate, train, evaluate):
        assert cli.main(words) == 0, words
    run = Run(Path("runs/own"))
    children = [child for _, child in run.family() if ".own." in child.folder.name]
    assert children
    for child in children:
        losses = [event["train/loss"] for event in child.events("epoch")]
        assert losses[-1] < losses[0]
    assert run.metrics_file.exists()


def test_what_does_not_fit_ends_as_the_page_says(
    shown: tuple[str, Section], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, page = shown
    old, new = MISFIT[recipe]
    assert page.source.count(old) == 1
    Path("my_net.py").write_text(page.source.replace(old, new))
    simulate, train, _ = page.commands
    assert cli.main(simulate) == 0
    capsys.readouterr()
    assert cli.main(train) == 2
    printed = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    assert _without_sizes(printed) == _without_sizes(page.sentence)


def _without_sizes(sentence: str) -> str:
    """The words of a sentence: sizes belong to the preset, and the folder is any."""
    return re.sub(r"\d+", "#", " ".join(sentence.replace(str(Path.cwd()), "FOLDER").split()))
