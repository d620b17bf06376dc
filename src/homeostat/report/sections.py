"""Write the sections of evidence: scores, pictures, subgroups, training, children, looks at the test split."""

from __future__ import annotations

from collections.abc import Sequence

from homeostat.evaluate.score import Score
from homeostat.evaluate.threshold import Threshold
from homeostat.report import curves, each, figures, tables
from homeostat.report.collect import Collected
from homeostat.report.forest import forest
from homeostat.report.layout import gallery, section
from homeostat.report.words import SPLITS, count, escape, in_order, moment

PAIRED = (
    "p: how often chance alone gives such a difference. Corrected: after Holm, because several comparisons are several "
    "chances of a false alarm."
)


def scores(run: Collected) -> str:
    headline = run.headline
    if headline is None:
        return ""
    here = [score for score in run.scores if score.split == headline.split]
    several = len({score.target for score in here if score.target}) > 1
    # With several targets the page shows the means; each target's AUROC is drawn below, the rest unfolds.
    shown = [score for score in here if not score.target] or here
    every = f"<details><summary>Every score of every target</summary>{tables.scores(run, here)}</details>"
    better = tables.comparisons(run)
    paired = f'<h3>Against the yard-sticks</h3><p class="quiet">{PAIRED}</p>{better}' if better else ""
    body = tables.scores(run, shown) + (every if several else "") + paired
    intro = "Every number with its interval, its n and the same number of a predictor that looks at nothing."
    return section(f"Scores on the {SPLITS.get(headline.split, headline.split)} split", body, intro)


def pictures(run: Collected) -> str:
    main = run.main
    if main is None:
        return ""
    if main.kind == "regression":
        return section("Predictions", gallery(curves.regression_figures(main, run.rivals)))
    if main.kind == "multilabel":
        return section("Targets", _targets(run))
    threshold = run.metrics.get("thresholds", {}).get(main.names[0])
    cut = Threshold.from_dict(threshold) if threshold else None
    return section("Predictions", gallery(figures.binary(main, run.rivals, cut)))


def _targets(run: Collected) -> str:
    headline = run.headline
    rows = [
        (s.target, s)
        for s in run.scores
        if s.name == "auroc" and s.target and s.model == run.model and headline and s.split == headline.split
    ]
    return forest(rows, reference=0.5, dotted="guessing", what="Target") if rows else ""


def subgroups(run: Collected) -> str:
    """Draw the score of every group; groups that have a table of their own are left to it."""
    groups = [Score.from_dict(values) for values in run.metrics.get("subgroups", ())]
    alone = {f"{name}=" for name in each.groupings(run)}
    main = [s for s in groups if s.name in ("auroc", "rmse") and not s.group.startswith(tuple(alone))]
    if not main:
        return ""
    whole = run.own(main[0].name, main[0].target)
    several = len({s.target for s in main}) > 1
    rows = [("everybody", whole)] if whole else []
    rows += [(f"{s.target}, {s.group}" if several else s.group.replace("=", ": "), s) for s in _sorted(main)]
    return section(
        "For whom",
        forest(rows, reference=whole.value if whole else None, dotted="everybody", what="Group"),
        "Groups of fewer than 20 subjects are suppressed.",
    )


def _sorted(scores: Sequence[Score]) -> list[Score]:
    """Put the bands of each group into their order; groups stay in theirs."""
    levels: dict[tuple[str, str], dict[str, Score]] = {}
    for score in scores:
        group, _, level = score.group.partition("=")
        levels.setdefault((score.target, group), {})[level] = score
    return [inside[level] for inside in levels.values() for level in in_order(list(inside))]


def subjects(run: Collected) -> str:
    rows = run.metrics.get("subjects", ())
    return (
        section("Subject by subject", tables.subjects(rows, str(run.metrics.get("unit", "")))) if rows else ""
    )


def training(run: Collected) -> str:
    drawn = gallery(curves.learning(run))
    resumed = [
        f"{moment(str(e.get('time', '')))} at step {count(int(e.get('step', 0)))}" for e in run.of("resume")
    ]
    again = f"<p>Resumed {escape('; '.join(resumed))}.</p>" if resumed else ""
    changes = [*run.of("fallback"), *run.of("code")]
    fallen = "".join(
        f"<p>{escape(sentence)}</p>" for sentence in dict.fromkeys(str(e["sentence"]) for e in changes)
    )
    body = drawn + again + fallen
    return section("Training", body) if body else ""


def children(run: Collected) -> str:
    if not run.children:
        return ""
    intro = "Folds, members, seeds or trials: each is a run of its own, with its own report."
    return section("Child runs", tables.children(run), intro)


def test_reads(run: Collected) -> str:
    """List the looks at the test split that the ledger remembers."""
    if not run.reads:
        return ""
    first: dict[str, int] = {}
    rows = []
    for k, read in enumerate(run.reads):
        new = read.content not in first
        first.setdefault(read.content, k)
        rows.append(
            (
                moment(read.time),
                escape(read.purpose),
                escape(read.model),
                count(read.n),
                "new look" if new else "same predictions again",
            )
        )
    everybody = int(run.metrics.get("ledger", {}).get("looks_of_all_runs", 0))
    intro = (
        f"{count(everybody, 'set')} of predictions scored on this test split so far, over all runs beside this one."
        if everybody
        else ""
    )
    return section(
        "Looks at the test split",
        tables.table(("Time (UTC)", "Purpose", "Model", "n", ""), rows, numeric=(3,)),
        intro,
    )


def details(run: Collected) -> str:
    """Write the configuration and the environment, open: paper has nothing to click on."""
    parts = [
        f"<details open><summary>{title}</summary>{tables.plain(values)}</details>"
        for title, values in (("Configuration", run.config), ("Environment", _environment(run)))
        if values
    ]
    return section("Everything else", "".join(parts))


def _environment(run: Collected) -> dict[str, object]:
    """Return the environment without the counts of the preparation, which have a section of their own."""
    return {name: value for name, value in run.environment.items() if name != "data"}
