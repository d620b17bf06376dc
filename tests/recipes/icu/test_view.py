"""Laws of the view: who trains, on whom scales are fitted, and which groups a score is looked at by."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from homeostat.data.scaling import digest_ids
from homeostat.data.splits import Splits
from homeostat.errors import DataError, RunError
from homeostat.recipes.icu.config import smoke
from homeostat.recipes.icu.recipe import recipe
from homeostat.recipes.icu.view import age_band, new_view, protocol_of, roster, scales, table, training_view


def of(config, run, store):
    return training_view(config, run, store, protocol_of(config, store))


def test_sets_make_the_split(trained, store):
    splits = Splits.load(trained.splits_file)
    group = dict(zip(map(str, store["stay"]), store["group"], strict=True))
    assert {group[stay] for stay in splits.train} == {"a"}
    assert {group[stay] for stay in splits.valid} == {"b"}
    assert splits.test == ()
    assert trained.status()["state"] == "done"


def test_without_sets_subjects_are_dealt_and_deaths_evenly(folder, store, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (folder / "set-a").iterdir():
        shutil.copy(path, flat)
    shutil.copy(folder / "Outcomes-a.txt", flat)
    without_sets = recipe.prepare(smoke(), flat, tmp_path / "stores")
    protocol = protocol_of(smoke(), without_sets)
    assert (protocol.name, protocol.reason) == ("by-subject", "there are 160 groups")
    dealt = protocol.splits["split"]
    sizes = [len(dealt.part(part)) for part in ("train", "valid", "test")]
    assert sizes == pytest.approx([112, 24, 24], abs=1)
    deaths = dict(zip(map(str, store["stay"]), store["label"], strict=True))
    assert all(any(deaths[stay] for stay in dealt.part(part)) for part in ("train", "valid", "test"))
    with pytest.raises(DataError, match="come without a split"):
        protocol_of(replace(smoke(), protocol="official"), without_sets)


def test_sets_are_dealt_anew_where_that_is_asked_for(store):
    protocol = protocol_of(replace(smoke(), protocol="by-subject"), store)
    assert (protocol.name, protocol.reason) == ("by-subject", "asked for")
    assert len(protocol.splits["split"].test) == pytest.approx(36, abs=1)


def test_scales_are_fitted_on_the_training_stays_alone(store, new_run, tmp_path):
    run = new_run(tmp_path / "run", smoke())
    view = of(smoke(), run, store)
    train = [str(stay) for stay, group in zip(store["stay"], store["group"], strict=True) if group == "a"]
    for scale in scales(run):
        assert (scale.ids, scale.ids_digest) == (160, digest_ids(train))
    known = np.isfinite(view.cohort.scores[view.rows(train)])
    assert np.where(known, view.cohort.scores[view.rows(train)], 0).sum(0) == pytest.approx(0, abs=1e-3)


def test_scales_of_other_training_stays_are_refused(store, new_run, tmp_path):
    run = new_run(tmp_path / "run", smoke())
    of(smoke(), run, store)
    with pytest.raises(DataError, match="fitted on 160 train ids, not on the 167"):
        of(replace(smoke(), protocol="by-subject"), run, store)


def test_new_stays_are_scaled_as_those_of_the_run(trained, store):
    seen, unseen = of(smoke(), trained, store), new_view(trained, store)
    assert np.array_equal(seen.cohort.value, unseen.cohort.value)
    assert np.array_equal(seen.cohort.static, unseen.cohort.static)


def test_a_run_without_scales_says_what_to_do(store, new_run, tmp_path):
    with pytest.raises(RunError, match="holds no fitted 'scales'"):
        new_view(new_run(tmp_path / "empty", smoke()), store)


@pytest.mark.parametrize(("parts", "groups"), [("train", {"a"}), ("train+valid", {"a", "b"})])
def test_stays_of_the_pre_training_are_those_of_their_parts(store, new_run, tmp_path, parts, groups):
    config = replace(smoke(), pretrain_on=parts)
    view = of(config, new_run(tmp_path / "run", config), store)
    assert {view.cohort.groups[row] for row in view.unlabelled} == groups
    assert (np.diff(view.unlabelled) > 0).all()


def test_members_of_a_stack_learn_from_stays_with_known_outcome(store, new_run, tmp_path):
    view = of(smoke(), new_run(tmp_path / "run", smoke()), store)
    label = view.cohort.label.copy()
    label[::3] = np.nan
    listed = roster(replace(view, cohort=replace(view.cohort, label=label)), view.cohort.ids[:30])
    assert list(listed.ids) == [name for row, name in enumerate(view.cohort.ids[:30]) if row % 3]
    assert set(listed.strata) <= {"0.0", "1.0"}


def test_predictions_carry_truth_and_groups_of_their_stays(trained, store):
    view = new_view(trained, store)
    ids = view.cohort.ids[::-7]
    answers = table(view, ids, np.full(len(ids), 0.25), "valid")
    assert answers.ids.tolist() == list(ids)
    truth = dict(zip(map(str, store["stay"]), store["label"], strict=True))
    assert answers.truth.tolist() == [truth[stay] for stay in ids]
    assert {name: len(values) for name, values in answers.groups.items()} == dict.fromkeys(
        ("unit", "age", "sex"), len(ids)
    )


@pytest.mark.parametrize(
    ("age", "band"),
    [(20, "below 50"), (50, "50 to 64"), (79.5, "65 to 79"), (80, "80 and above"), (np.nan, "unknown")],
)
def test_ages_fall_into_bands(age, band):
    assert age_band(age) == band
