"""Laws of reading volumes: nothing is lost silently, no split is invented, and a stale store cannot be read."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pytest

from homeostat.audits.confounder import confounder
from homeostat.errors import DataError
from homeostat.recipes.cell import flim, tidy
from homeostat.recipes.cell.case import recording
from homeostat.recipes.cell.prepare import Preparation, blueprint
from homeostat.recipes.cell.simulate import simulate

SMALL = Preparation(side=8, time_bins=16)


def test_cells_keep_their_photons_label_and_donor(cohort, tmp_path):
    store = blueprint(cohort, Preparation(side=15, time_bins=64)).build(tmp_path)
    truth = pl.read_csv(cohort / "truth.csv")
    assert list(store["volume"]) == truth["id"].to_list()
    np.testing.assert_array_equal(store["voxels"].sum(axis=(1, 2, 3, 4)), truth["photons"])
    np.testing.assert_array_equal(store["label"], truth["active"])
    np.testing.assert_array_equal(store["group"], truth["donor"])
    assert store["voxels"].dtype == np.uint16


def test_cells_that_are_cut_or_dark_are_counted(cohort, tmp_path):
    raw = tmp_path / "raw" / "D9"
    raw.mkdir(parents=True)
    np.save(raw / "dark_in.npy", np.zeros((5, 5, 16), np.uint16))
    np.save(raw / "large_act.npy", np.ones((12, 5, 16), np.uint16))
    np.save(raw / "unlabelled.npy", np.ones((5, 5, 16), np.uint16))
    store = blueprint(raw.parent, SMALL).build(tmp_path / "stores")
    assert list(store["volume"]) == ["D9/large_act", "D9/unlabelled"]
    assert np.isnan(store["label"][1])
    report = " ".join(store.report())
    assert "1 cells without a photon, dropped" in report
    assert "1 cells larger than 8 pixels" in report
    assert "1 cells with neither _in nor _act" in report


@pytest.mark.parametrize(
    ("stack", "sentence"),
    [
        (np.ones((4, 16), np.uint16), "height x width x time"),
        (np.ones((0, 4, 16), np.uint16), "height x width x time"),
        (np.ones((4, 4, 0), np.uint16), "height x width x time"),
        (np.ones((4, 4, 15), np.uint16), "16 does not divide"),
        (np.full((4, 4, 16), -1.0), "no photon counts"),
        (np.full((4, 4, 16), 0.5), "no photon counts"),
        (np.full((4, 4, 16), np.nan), "no photon counts"),
    ],
)
def test_a_stack_that_is_no_stack_is_named(stack, sentence, tmp_path):
    np.save(tmp_path / "x_in.npy", stack)
    with pytest.raises(DataError, match=sentence):
        flim.load(tmp_path / "x_in.npy", 16)


def test_pickled_stacks_are_refused(tmp_path):
    np.save(tmp_path / "x_in.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="expected numbers or text"):
        flim.load(tmp_path / "x_in.npy", 16)


def test_the_official_split_is_used_and_test_arrays_when_they_are_there(medmnist, tmp_path):
    store = blueprint(medmnist).build(tmp_path / "stores")
    parts, counts = np.unique(store["part"], return_counts=True)
    assert dict(zip(parts, counts, strict=True)) == {"test": 30, "train": 30, "valid": 24}
    assert store.meta["groups_declared"].startswith("absent")
    with np.load(medmnist) as opened:
        arrays = {name: opened[name] for name in opened.files if not name.startswith("test")}
    np.savez(medmnist, **arrays)
    without = blueprint(medmnist).build(tmp_path / "stores")
    assert set(without["part"]) == {"train", "valid"}
    assert any("test" in sentence for sentence in without.report())
    np.testing.assert_array_equal(without["voxels"], store["voxels"][:54])


def volumes_with_table(folder, **columns):
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    arrays = random.integers(0, 200, (4, 5, 6, 7)).astype(np.uint8)
    names = ["a.nii.gz", "b.nii", "c.npy", "d.npy"]
    for name, volume in zip(names, arrays, strict=True):
        if name.endswith("npy"):
            np.save(folder / name, volume)
        else:
            nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), folder / name)
    table = {"file": names, "label": ["0", "1", "", "1"], "donor": ["x", "x", "y", "z"]} | columns
    pl.DataFrame(table).write_csv(folder / "volumes.csv")
    return arrays


def test_nifti_and_npy_volumes_are_read_as_their_table_says(tmp_path):
    arrays = volumes_with_table(tmp_path / "raw")
    store = blueprint(tmp_path / "raw").build(tmp_path / "stores")
    np.testing.assert_array_equal(store["voxels"][:, 0], arrays)
    assert store["voxels"].dtype == np.uint8
    np.testing.assert_array_equal(store["label"], [0, 1, np.nan, 1])
    assert list(store["group"]) == ["x", "x", "y", "z"]


def test_a_group_is_declared_or_declared_absent(tmp_path):
    volumes_with_table(tmp_path / "raw")
    columns = tidy.Columns(group="patient")
    with pytest.raises(DataError, match="no column 'patient'"):
        blueprint(tmp_path / "raw", Preparation(columns=columns)).build(tmp_path / "stores")
    absent = blueprint(tmp_path / "raw", Preparation(columns=tidy.Columns(group=""))).build(
        tmp_path / "stores"
    )
    assert not any(absent["group"])
    assert "absent" in absent.meta["groups_declared"]


def test_volumes_of_different_size_are_cut_or_padded_only_when_asked(tmp_path):
    volumes_with_table(tmp_path / "raw")
    np.save(tmp_path / "raw" / "d.npy", np.ones((3, 9, 7), np.uint8))
    with pytest.raises(DataError, match="Name one size"):
        blueprint(tmp_path / "raw").build(tmp_path / "stores")
    columns = tidy.Columns(sides=(4, 4, 4))
    store = blueprint(tmp_path / "raw", Preparation(columns=columns)).build(tmp_path / "stores")
    assert store["voxels"].shape[2:] == (4, 4, 4)


def test_no_clear_cache_is_needed(tmp_path):
    """The seed deletes its cache before every run; a store that is stale cannot even be named here."""
    cells, stores = tmp_path / "cells", tmp_path / "stores"
    simulate(cells, seed=2, cells=2)
    first = blueprint(cells, SMALL).build(stores)
    assert blueprint(cells, SMALL).explain(stores).reused
    file = min((cells / "isolated_cells_D1").glob("*.npy"))
    stack = np.load(file)
    stack[stack.shape[0] // 2, stack.shape[1] // 2, 0] += 1
    np.save(file, stack)
    explanation = blueprint(cells, SMALL).explain(stores)
    assert not explanation.reused
    assert file.name in str(explanation)
    again = blueprint(cells, SMALL).build(stores)
    assert again.path == explanation.path != first.path
    assert again["voxels"].sum() == first["voxels"].sum() + 1


def test_no_clear_cache_is_needed_after_an_edit_of_the_code_either(tmp_path, monkeypatch):
    cells, stores = tmp_path / "cells", tmp_path / "stores"
    simulate(cells, seed=2, cells=2)
    first = blueprint(cells, SMALL).build(stores)
    edited = tmp_path / "flim.py"
    source = Path(flim.__file__).read_text(encoding="utf-8")
    assert "    summed: Array" in source
    edited.write_text(
        source.replace("    summed: Array", "    # Edited.\n    summed: Array"), encoding="utf-8"
    )
    monkeypatch.setattr(flim, "__file__", str(edited))
    explanation = blueprint(cells, SMALL).explain(stores)
    assert not explanation.reused
    assert "code homeostat.recipes.cell.flim.load changed" in str(explanation)
    assert blueprint(cells, SMALL).build(stores).path != first.path


def test_a_table_of_truth_about_other_cells_is_refused(tmp_path):
    simulate(tmp_path / "cells", seed=2, cells=2)
    file = min((tmp_path / "cells" / "isolated_cells_D1").glob("*.npy"))
    file.rename(file.with_name("other_act.npy"))
    with pytest.raises(DataError, match="knows nothing of isolated_cells_D1/other_act"):
        blueprint(tmp_path / "cells", SMALL).build(tmp_path / "stores")


def test_every_source_is_recognised_by_its_files(cohort, medmnist, tmp_path):
    volumes_with_table(tmp_path / "table")
    assert blueprint(cohort, SMALL).name == "cell-flim"
    assert blueprint(medmnist, SMALL).name == "cell-medmnist"
    assert blueprint(tmp_path / "table", SMALL).name == "cell-tidy"
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="No volumes in"):
        blueprint(tmp_path / "nothing", SMALL)


@pytest.mark.parametrize(
    ("label", "donor", "sentence"),
    [
        ("1", "x", "twice. Keep one"),
        ("0", "x", "with the labels 1 and 0"),
        ("1", "y", "with the groups x and y"),
    ],
)
def test_a_volume_stands_in_the_table_once(tmp_path, label, donor, sentence):
    volumes_with_table(tmp_path / "raw")
    with (tmp_path / "raw" / "volumes.csv").open("a") as table:
        table.write(f"b.nii,{label},{donor}\n")
    with pytest.raises(DataError, match=sentence):
        blueprint(tmp_path / "raw").build(tmp_path / "stores")


def test_a_voxel_size_that_goes_with_the_label_is_told_and_found_by_the_doctor(tmp_path):
    raw, random = tmp_path / "raw", np.random.default_rng(0)
    raw.mkdir()
    names, labels = [f"{number}.nii" for number in range(40)], [number % 2 for number in range(40)]
    for name, label in zip(names, labels, strict=True):
        volume = random.integers(0, 200, (6, 6, 6)).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(volume, np.diag([1, 1, 1 + label, 1])), raw / name)
    pl.DataFrame({"file": names, "label": labels, "donor": names}).write_csv(raw / "volumes.csv")
    options = Preparation(columns=tidy.Columns(sides=(6, 6, 6)))
    store = blueprint(raw, options).build(tmp_path / "stores")
    (sentence,) = [each for each in store.report() if "scanner" in each]
    assert sentence.startswith("40 volumes whose voxel size foot to head tells their label (AUROC 1.00")
    (given,) = recording(store)
    finding = confounder.check(given)
    assert finding is not None
    assert "voxel size foot to head tells the label of 40 samples" in finding.what
    assert store.meta["spacing_mm"] == [1, 1, 1.5]


def test_copies_are_counted_by_what_they_spoil(medmnist, tmp_path):
    with np.load(medmnist) as opened:
        arrays = {name: opened[name] for name in opened.files}
    arrays["test_images"][3] = arrays["train_images"][5]
    arrays["test_labels"][3] = arrays["train_labels"][5]
    np.savez(medmnist, **arrays)
    report = " ".join(blueprint(medmnist).build(tmp_path).report())
    assert "copies of a volume across test and train, kept" in report


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("train_labels", np.full((30, 1), 2), "expected 0 and 1"),
        ("train_labels", np.full((30, 1), "yes"), "expected 0 and 1"),
        ("test_labels", np.zeros((29, 1)), "expected one each"),
        ("val_images", np.zeros((24, 9, 9, 9), np.uint8), "The parts of one set have one size"),
        ("val_images", np.zeros((24, 0, 8, 8), np.uint8), "one of the 3-D sets"),
        ("val_images", np.zeros((24, 8, 8, 8), np.float32), "one of the 3-D sets"),
    ],
)
def test_arrays_of_medmnist_that_do_not_fit_are_named(medmnist, tmp_path, name, value, sentence):
    with np.load(medmnist) as opened:
        arrays = {name: opened[name] for name in opened.files}
    np.savez(medmnist, **arrays | {name: value})
    with pytest.raises(DataError, match=sentence):
        blueprint(medmnist).build(tmp_path / "stores")
