"""Laws of augmentation: addressed by sample, exact where it can be, and photon counts stay photon counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from homeostat.errors import ConfigError
from homeostat.recipes.cell import augment
from homeostat.recipes.cell.augment import AugmentConfig

SIDES = (8, 8, 8)
STILL = AugmentConfig(symmetries="none", rotation_deg=0, zoom=0, shift=0, time_shift=0, gain=0)


def cubes(count=3, channels=2, side=6):
    return torch.arange(count * channels * side**3).reshape(count, channels, side, side, side).float()


def test_nothing_asked_changes_nothing():
    volume = cubes()
    change = augment.draw(STILL, 0, 0, [0, 1, 2], SIDES, is_time=False)
    torch.testing.assert_close(augment.apply(change, volume, "shape"), volume, atol=1e-2, rtol=1e-5)


@pytest.mark.parametrize("is_photons", [True, False])
def test_a_change_depends_on_seed_epoch_and_sample_alone(is_photons):
    config, volume = AugmentConfig(), torch.poisson(torch.full((4, 1, 8, 8, 8), 5.0))
    draw = [augment.draw(config, 1, 2, ids, SIDES, is_time=is_photons) for ids in ([4, 9, 0, 7], [7, 4])]
    four = augment.apply(draw[0], volume, "photons" if is_photons else "shape")
    two = augment.apply(draw[1], volume[[3, 0]], "photons" if is_photons else "shape")
    assert torch.equal(four[3], two[0])
    assert torch.equal(four[0], two[1])
    other = augment.apply(
        augment.draw(config, 1, 3, [4, 9, 0, 7], SIDES, is_time=is_photons),
        volume,
        "photons" if is_photons else "shape",
    )
    assert not torch.equal(four, other)


def test_all_symmetries_of_a_cube_occur_and_are_exact():
    config = AugmentConfig(symmetries="all", rotation_deg=0, zoom=0, shift=0, gain=0)
    volume = cubes(1, 1, 4)
    change = augment.draw(config, 0, 0, list(range(600)), (4, 4, 4), is_time=False)
    moved = augment.apply(change, volume.expand(600, -1, -1, -1, -1), "shape")
    seen = {tuple(one.round().int().flatten().tolist()) for one in moved}
    expected = {
        tuple(volume[0, 0].permute(order).flip(axes).int().flatten().tolist())
        for order in itertools.permutations(range(3))
        for count in range(4)
        for axes in itertools.combinations(range(3), count)
    }
    assert len(expected) == 48
    assert seen == expected


def test_time_is_never_turned_around():
    config = AugmentConfig(rotation_deg=45, zoom=0.2, shift=0.2, time_shift=0, gain=0)
    volume = torch.arange(8.0)[None, None, :, None, None].expand(32, 1, 8, 6, 6)
    change = augment.draw(config, 0, 0, list(range(32)), (8, 6, 6), is_time=True)
    moved = augment.apply(change, volume + 1, "photons")
    for one in moved:
        lit = one[0, :, 3, 3]
        assert torch.equal(lit, torch.arange(8.0) + 1) or not lit.any()


def test_a_dimmer_or_brighter_cell_has_poisson_noise_of_its_own_brightness():
    for factor in (0.6, 1.4):
        counts = torch.poisson(
            torch.full((400, 1, 4, 4, 4), 10.0), generator=torch.Generator().manual_seed(1)
        )
        turned = augment.brightened(counts, torch.full((400,), factor), torch.arange(400))
        assert torch.equal(turned, turned.round())
        assert turned.mean().item() == pytest.approx(10 * factor, rel=0.02)
        # Thinned counts have variance = mean; added photons follow the counts, not the unknown rate, at a small cost.
        excess = turned.var().item() / turned.mean().item()
        assert excess == pytest.approx(1.0 if factor < 1 else (factor**2 * 10 + 4) / (14), rel=0.05)


def test_equalised_stacks_tell_nothing_by_their_brightness():
    """Two classes, one twice as bright: after equalising, brightness ranks them by chance."""
    rate = torch.where(torch.arange(400) % 2 == 0, 4.0, 8.0)
    counts = torch.poisson(rate[:, None, None, None, None].expand(400, 1, 6, 6, 6))
    change = augment.draw(STILL, 0, 0, list(range(400)), (6, 6, 6), is_time=True)
    same = augment.equalised(change, counts, (1.0, 4.0))
    mean = augment.apply(same, counts, "photons").mean(dim=(1, 2, 3, 4))
    bright, dim = mean[1::2], mean[0::2]
    assert (bright[:, None] > dim[None]).float().mean().item() == pytest.approx(0.5, abs=0.07)
    assert 0.7 < mean.min() < 1.3
    assert 3.4 < mean.max() < 4.8
    assert torch.equal(augment.equalised(change, counts, (1.0, 4.0)).gain, same.gain)


def test_photons_stay_whole_numbers_under_every_change():
    counts = torch.poisson(torch.full((8, 1, 8, 8, 8), 3.0))
    change = augment.draw(AugmentConfig(), 0, 0, list(range(8)), SIDES, is_time=True)
    moved = augment.apply(change, counts, "photons")
    assert torch.equal(moved, moved.round())


def test_a_mask_stays_a_mask_under_every_change():
    masks = (torch.rand(8, 1, 8, 8, 8) > 0.5).float() * 255
    change = augment.draw(AugmentConfig(), 0, 0, list(range(8)), SIDES, is_time=False)
    assert set(augment.apply(change, masks, "shape").unique().tolist()) == {0.0, 255.0}


def test_the_strength_of_each_setting_shows():
    """The seed's noise on counts times a thousand, divided by a thousand, changed nothing; this is how one notices."""
    counts = torch.poisson(torch.full((8, 1, 8, 8, 8), 3.0))
    for name, value in (
        ("gain", 0.4),
        ("rotation_deg", 30.0),
        ("zoom", 0.2),
        ("shift", 0.2),
        ("time_shift", 0.2),
    ):
        config = AugmentConfig(**{**vars(STILL), name: value})
        change = augment.draw(config, 0, 0, list(range(8)), SIDES, is_time=True)
        moved = augment.apply(change, counts, "photons")
        assert (moved - counts).abs().mean() > 0.1, name


def test_views_begin_with_the_volume_itself_and_differ():
    volume = cubes()
    seen = augment.views(volume, "all", is_time=False, count=8)
    assert torch.equal(seen[0], volume)
    assert len({tuple(one.flatten().tolist()) for one in seen}) == 8
    for one in seen:
        assert one.sum() == volume.sum()
    in_plane = augment.views(
        torch.arange(8.0)[None, None, :, None, None].expand(1, 1, 8, 4, 4), "auto", is_time=True, count=8
    )
    assert all(torch.equal(one[0, 0, :, 0, 0], torch.arange(8.0)) for one in in_plane)


@pytest.mark.parametrize(
    ("sides", "is_time", "number"),
    [((4, 4, 4), False, 48), ((4, 4, 9), False, 16), ((3, 4, 9), False, 8), ((8, 4, 4), True, 8)],
)
def test_a_volume_is_turned_only_where_it_fits(sides, is_time, number):
    assert len(augment.symmetries(sides, "all", is_time=is_time)) == number
    volume = torch.arange(float(np.prod(sides))).reshape(1, 1, *sides)
    seen = augment.views(volume, "all", is_time=is_time, count=100)
    assert len(seen) == number
    assert {tuple(one.shape[2:]) for one in seen} == {sides}
    assert len({tuple(one.flatten().tolist()) for one in seen}) == number


@pytest.mark.parametrize(("sides", "is_time"), [((6, 7, 9), False), ((8, 5, 5), True)])
def test_the_nearest_voxel_is_the_one_that_grid_sample_takes(sides, is_time):
    volume = torch.rand(64, 2, *sides)
    matrix = augment.draw(AugmentConfig(shift=0.3), 0, 0, list(range(64)), sides, is_time=is_time).matrix
    grid = torch.nn.functional.affine_grid(matrix, list(volume.shape), align_corners=False)
    expected = torch.nn.functional.grid_sample(volume, grid, mode="nearest", align_corners=False)
    differs = torch.from_numpy(augment.nearest(matrix.numpy(), volume.numpy())) != expected
    assert differs.float().mean() < 1e-3, "no more than places half-way between two voxels"


def test_organs_keep_lying_as_they_lie_and_are_mirrored():
    config = AugmentConfig(rotation_deg=0, zoom=0, shift=0, gain=0)
    volume = cubes(1, 1, 4)
    change = augment.draw(config, 0, 0, list(range(32)), (4, 4, 4), is_time=False)
    moved = augment.apply(change, volume.expand(32, -1, -1, -1, -1), "shape").round()
    assert len(moved.unique(dim=0)) == 2
    assert all(torch.equal(one, volume[0]) or torch.equal(one, volume[0].flip(1)) for one in moved)
    assert len(augment.views(volume, "auto", is_time=False, count=8)) == 2
    assert len(augment.views(volume, "none", is_time=False, count=8)) == 1


def test_a_rotation_is_one():
    matrix = augment.rotation(np.array([1.0, 2.0, 3.0]), 0.7)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)


@pytest.mark.parametrize(("name", "value"), [("shift", -0.1), ("zoom", 1.0), ("gain", 1.5)])
def test_impossible_settings_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        AugmentConfig(**{name: value})
