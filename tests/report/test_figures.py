"""A figure shows what its caption says, for every model, and not more points than a panel can show."""

import re
import shutil

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from homeostat.evaluate.predictions import Predictions, read, write
from homeostat.evaluate.threshold import GIVEN
from homeostat.report import chart, courses, curves, figures
from homeostat.report.collect import collect


def predictions(n=600, model="ode", seed=0):
    random = np.random.default_rng(seed)
    output = random.random(n)
    return Predictions.build(
        "binary", "test", ids=range(n), targets=random.random(n) < output, outputs=output, model=model
    )


def vertices(svg, kind):
    path = re.search(rf'<path class="line {kind}" d="([^"]*)"', svg).group(1)
    return np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", path), float)


def test_the_drawn_roc_has_the_area_of_the_auroc():
    p = predictions(5000)
    points = vertices(figures.roc([p], None).svg, "s0")
    width, height = chart.WIDTH - chart.LEFT - chart.RIGHT, chart.HEIGHT - chart.TOP - chart.BOTTOM
    x, y = (points[:, 0] - chart.LEFT) / width, (chart.HEIGHT - chart.BOTTOM - points[:, 1]) / height
    assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(p.truth, p.output), abs=0.004)
    assert len(points) <= 241


def test_every_model_has_its_line_and_its_key():
    models = [
        predictions(model="ode"),
        predictions(model="xgboost", seed=1),
        predictions(model="last", seed=2),
    ]
    for figure in (figures.roc(models, None), figures.precision_recall(models), figures.net_benefit(models)):
        assert [words.split()[0] for _, words in figure.key][:3] == ["ode", "xgboost", "last"]
        for k in range(3):
            assert f'class="line s{k}"' in figure.svg


def marks(svg):
    """Classes of what is drawn, without the axes and the grid."""
    kinds = re.findall(r'<path class="([^"]*)"', svg)
    return {kind for kind in kinds if kind.split()[-1] not in ("grid", "axis")}


def looks(kinds):
    """Colour and dash of each."""
    return {
        (word, "dashed" in kind.split())
        for kind in kinds
        for word in kind.split()
        if word not in ("line", "dots", "band", "thin", "faint", "dashed")
    }


def every_figure(folder):
    run = collect(folder)
    main = run.main
    drawn = list(curves.learning(run))
    if main is not None and main.kind == "binary":
        drawn += figures.binary(main, run.rivals, GIVEN)
    if main is not None and main.kind == "regression":
        drawn += curves.regression_figures(main, run.rivals)
    return drawn


@pytest.mark.parametrize("name", ["icu_run", "battery_run", "chest_run", "halted_run"])
def test_a_legend_has_the_colour_and_the_dash_of_every_mark_and_no_others(request, name):
    drawn = every_figure(request.getfixturevalue(name))
    assert drawn
    for figure in drawn:
        keyed = {kind for kind, _ in figure.key}
        assert keyed <= marks(figure.svg), figure.title
        assert looks(keyed) == looks(marks(figure.svg)), figure.title
        assert len({words for _, words in figure.key}) == len(figure.key), figure.title


def test_a_legend_draws_its_samples_with_the_class_of_the_mark(icu_run):
    for figure in every_figure(icu_run):
        samples = re.findall(r'<path class="([^"]*)"', chart.key(figure.key))
        assert samples == [kind for kind, _ in figure.key]


def test_many_children_share_the_last_entry_of_a_legend(battery_run):
    folds = battery_run / "children"
    for k in range(3, 9):
        shutil.copytree(folds / "fold-0", folds / f"fold-{k}")
    score = curves.learning(collect(battery_run))[-1]
    assert [words for _, words in score.key][-1] == "fold-5 and 3 more"
    assert len(score.key) == 6


@pytest.mark.parametrize("spread", [0.02, 1.0, 3.0])
def test_the_band_of_net_benefit_is_not_cut(spread):
    """Few rows and bad probabilities make it wide: below zero, and above the share of positives."""
    random = np.random.default_rng(3)
    logit = random.normal(size=60) * spread
    p = Predictions.build(
        "binary",
        "test",
        ids=range(60),
        targets=np.tile([0, 1], 30),
        outputs=1 / (1 + np.exp(-logit)),
        model="ode",
    )
    svg = figures.net_benefit([p]).svg
    path = re.search(r'<path class="band s0" d="([^"]*)"', svg).group(1)
    y = [float(value) for value in re.findall(r"[\d.]+ ([\d.]+)", path)]
    assert min(y) > chart.TOP
    assert max(y) < chart.HEIGHT - chart.BOTTOM


def test_nothing_is_drawn_under_ten_positives():
    p = predictions()
    few = p.take(np.concatenate([np.flatnonzero(p.truth == 0), np.flatnonzero(p.truth == 1)[:9]]))
    assert figures.binary(few, [], None) == ()
    assert len(figures.binary(p, [], GIVEN)) == 5


def test_extreme_outputs_can_be_drawn():
    for output in (np.zeros(100), np.ones(100), np.tile([0.0, 1.0], 50)):
        p = Predictions.build("binary", "test", ids=range(100), targets=np.tile([0, 1], 50), outputs=output)
        for figure in figures.binary(p, [], GIVEN):
            assert "nan" not in figure.svg
            assert "inf" not in figure.svg


def test_a_resumed_training_is_drawn_once(icu_run):
    """The steps that were replayed after a resume are on disk twice."""
    journal = icu_run / "journal.jsonl"
    once = curves.learning(collect(icu_run))
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*lines, *(line for line in lines if '"score"' in line or '"epoch"' in line)]))
    again = curves.learning(collect(icu_run))
    assert [figure.svg for figure in once] == [figure.svg for figure in again]


def test_the_kept_state_is_marked(icu_run):
    score = next(figure for figure in curves.learning(collect(icu_run)) if figure.title == "valid/auroc")
    assert score.reading.startswith("The dot is the state that was kept: 0.85")


def test_a_parent_without_training_shows_its_children(battery_run):
    score = curves.learning(collect(battery_run))[-1]
    assert [words for _, words in score.key] == ["fold-0", "fold-1", "fold-2"]


def test_best_middle_and_worst_subjects_are_shown(battery_run):
    run = collect(battery_run)
    drawn = curves.regression_figures(run.main, run.rivals)
    titles = [figure.title for figure in drawn]
    assert titles[0] == "Predicted against true: state of health"
    assert titles[1].endswith("worst of 12")
    assert titles[-1].endswith("best of 12")
    assert [words for _, words in drawn[1].key] == ["observed", "neural-ode", "linear fade"]


def test_series_of_some_subjects_are_drawn_where_a_recipe_left_them(icu_run):
    time = np.tile(np.arange(10.0), 4)
    truth = np.full((40, 3), np.nan)
    truth[::2, 0], truth[::5, 2] = 80.0, 37.0
    series = Predictions.build(
        "regression",
        "test",
        ids=range(40),
        subjects=np.repeat(["a", "b", "c", "d"], 10),
        names=("heart rate", "lactate", "temperature"),
        targets=truth,
        outputs=np.column_stack([80 + time, time, 37 - time / 10]),
        time=time,
        time_unit="h",
    )
    write(series, icu_run / "predictions" / "curves" / "test.parquet")
    run = collect(icu_run)
    drawn = courses.observed(run.curves[0], most_subjects=3, most_series=2)
    titles = {subject: [figure.title for figure in own] for subject, own in drawn.items()}
    assert titles == {subject: ["heart rate", "temperature"] for subject in "abc"}
    assert drawn["a"][0].reading == "5 observations."
    assert drawn["a"][0].svg.count("h0") == 5
    assert run.main.kind == "binary"


def test_a_course_is_headed_by_risk_outcome_and_groups(icu_run):
    own = read(icu_run / "predictions" / "test-latent-ode.parquet")
    subject = str(own.ids[int(np.argmax(own.truth))])
    course = Predictions.build(
        "regression",
        "test",
        ids=[f"{who}@{k}" for who in (subject, "<i>") for k in range(3)],
        subjects=[subject] * 3 + ["<i>"] * 3,
        names=("heart rate (1/min)",),
        targets=np.full(6, 80.0),
        outputs=np.full(6, 81.0),
        time=[0.0, 1.0, 2.0] * 2,
    )
    write(course, icu_run / "predictions" / "curves" / "test.parquet")
    text = courses.courses(collect(icu_run))
    known, unknown = text.split("&lt;i&gt;</h3>")
    assert f"Predicted risk of in-hospital death: {float(own.output[own.ids == subject][0]):.3f}" in known
    assert "outcome: in-hospital death · sex: " in known
    assert "heart rate (1/min)" in known
    assert "Predicted risk" not in unknown


def test_many_points_are_thinned_and_the_caption_says_so():
    p = Predictions.build(
        "regression", "test", ids=range(5000), targets=np.arange(5000), outputs=np.arange(5000) + 1.0
    )
    figure = curves.against(p)
    assert figure.reading.endswith("1,500 of 5,000 points.")
    assert figure.svg.count("h0") == 1500
