"""Laws of MedMNIST files: flat or solid images, one label or several, the parts that are there."""

import numpy as np
import pytest

from homeostat.data import medmnist
from homeostat.errors import DataError


def test_flat_images_with_several_labels_are_read(tmp_path):
    labels = np.arange(42).reshape(3, 14) % 2
    images = np.zeros((3, 8, 8), np.uint8)
    np.savez(tmp_path / "chest.npz", train_images=images, train_labels=labels, test_images=images[:1])
    held = medmnist.read(tmp_path, axes=2, targets=14)
    assert held.ids == ("train-00000", "train-00001", "train-00002", "test-00000")
    assert held.parts == ("train", "train", "train", "test")
    np.testing.assert_array_equal(held.labels[:3], labels)
    assert np.isnan(held.labels[3]).all()
    with pytest.raises(DataError, match="one of the 3-D sets"):
        medmnist.read(tmp_path, axes=3, targets=14)
    with pytest.raises(DataError, match="expected one each"):
        medmnist.read(tmp_path, axes=2)
