"""Volumes are shown right and wrong ones, each with label, probability and donor; the pictures are in the page."""

import base64
import json
import re
import struct
import zlib

import numpy as np
import pytest

from homeostat.errors import DataError
from homeostat.evaluate.predictions import read
from homeostat.report import page, slices, volumes
from homeostat.report.collect import collect
from homeostat.report.slices import Slices, chosen, grey


@pytest.fixture
def pictured(icu_run):
    """A run with slices of volumes of each class."""
    own = read(icu_run / "predictions" / "test-latent-ode.parquet")
    rows = chosen(own.truth, own.output)
    random = np.random.default_rng(0)
    planes = {"photons": grey(random.random((6, 9))), "late <b>": grey(random.random((6, 9)))}
    slices.write(
        icu_run / "predictions" / slices.NAME,
        [Slices(identity=str(own.ids[k]), classes=("resting", "active"), planes=planes) for k in rows],
    )
    return icu_run


def test_each_volume_has_its_label_its_probability_and_its_groups(pictured):
    run = collect(pictured)
    drawn = volumes.volumes(run)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", drawn)
    verdicts = re.findall(r'<span class="(right|wrong)">', drawn)
    cut = run.metrics["thresholds"]["in-hospital death"]["value"]
    assert len(captions) == len(verdicts) == 8
    assert set(verdicts) == {"right", "wrong"}
    for volume, caption, verdict in zip(run.volumes, captions, verdicts, strict=True):
        p, row = run.place(volume.identity)
        label = ("resting", "active")[int(p.truth[row])]
        called = ("resting", "active")[int(p.output[row] >= cut)]
        assert f"label: {label}<br>probability of active: {p.output[row]:.3f}"[:40] == caption[:40]
        assert f"called {called}" in caption
        assert verdict == ("right" if label == called else "wrong")
        assert f"sex {p.groups['sex'][row]}" in caption


def pixels(png):
    """Read a grey PNG of 8 bits without filters, and check what its format promises."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    parts, rest = {}, png[8:]
    while rest:
        (length,), kind = struct.unpack(">I", rest[:4]), rest[4:8]
        parts[kind] = rest[8 : 8 + length]
        (checksum,) = struct.unpack(">I", rest[8 + length : 12 + length])
        assert checksum == zlib.crc32(kind + parts[kind])
        rest = rest[12 + length :]
    assert list(parts) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *form = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert form == [8, 0, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, 1 + width)
    assert not rows[:, 0].any()
    return rows[:, 1:]


def test_the_pictures_hold_the_pixels(pictured):
    run = collect(pictured)
    text = page.render(pictured)
    data = re.findall(r'<img src="data:image/png;base64,([^"]+)"', text)
    assert len(data) == 16
    np.testing.assert_array_equal(pixels(base64.b64decode(data[0])), run.volumes[0].planes["photons"])
    assert "late &lt;b&gt;" in text
    assert "<b>late" not in text


def test_the_worst_mistakes_are_among_the_chosen():
    random = np.random.default_rng(1)
    truth, output = (random.random(100) < 0.3).astype(float), random.random(100)
    rows = chosen(truth, output)
    assert len(set(rows.tolist())) == 8
    assert output[truth == 1].min() in output[rows]
    assert output[truth == 0].max() in output[rows]
    assert chosen(np.ones(2), np.array([0.2, 0.1])).tolist() == [1, 0]


def test_a_slice_is_grey_and_small():
    large = grey(np.arange(200 * 130, dtype=float).reshape(200, 130))
    assert max(large.shape) <= slices.MOST_PIXELS
    assert (large.min(), large.max()) == (0, 255)
    assert grey(np.full((3, 3), 7)).max() == 0


@pytest.mark.parametrize(
    "plane", [["0102", "03"], ["1"], ["<b>"], [""], [], ["00" * 65], ["00"] * 65, None, [[1]], "00", 7]
)
def test_what_is_no_picture_is_named_on_the_page(pictured, plane):
    file = pictured / "predictions" / slices.NAME
    plain = json.loads(file.read_text())
    plain["volumes"][0]["planes"]["photons"] = plane
    file.write_text(json.dumps(plain))
    with pytest.raises(DataError):
        slices.read(file)
    assert "Not readable: " in page.render(pictured)
