"""Show slices of a few volumes with what the model said about each and what it is."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from homeostat.report.collect import Collected
from homeostat.report.layout import section
from homeostat.report.slices import Slices
from homeostat.report.words import escape, number, short


def volumes(run: Collected) -> str:
    """Show the volumes that a recipe left beside its predictions: for each its slices, label, probability and donor."""
    body = "".join(_volume(run, volume) for volume in run.volumes)
    intro = (
        "Of each class the volumes with the lowest, two middle and the highest probability, so the worst mistakes are "
        "here. Each picture has a brightness of its own."
    )
    return section("Some volumes", f'<div class="gallery">{body}</div>' if body else "", intro)


def _volume(run: Collected, volume: Slices) -> str:
    place = run.place(volume.identity)
    if place is None:
        return ""
    main, row = place
    probability, truth = float(main.outputs[row, 0]), float(main.targets[row, 0])
    classes = volume.classes
    cut = float(run.metrics.get("thresholds", {}).get(main.names[0], {}).get("value", 0.5))
    called = probability >= cut
    verdict, mark = ("right", "✓") if called == bool(truth) else ("wrong", "✗")
    label = classes[int(truth)]
    groups = [f"{group} {values[row]}" for group, values in main.groups.items()]
    facts = [
        f"label: {label}",
        f"probability of {classes[1]}: {number(probability)}, called {classes[int(called)]}",
        *groups,
    ]
    planes = "".join(_plane(name, plane, volume.identity) for name, plane in volume.planes.items())
    title = f'<h3><span class="{verdict}">{mark} {verdict}</span> {escape(short(volume.identity, 40))}</h3>'
    return (
        f'<figure class="volume">{title}<div class="planes">{planes}</div>'
        f"<figcaption>{'<br>'.join(escape(short(fact)) for fact in facts)}</figcaption></figure>"
    )


def _plane(name: str, plane: np.ndarray, identity: str) -> str:
    data = base64.b64encode(png(plane)).decode("ascii")
    alt = escape(f"{name} of {short(identity)}")
    return f'<div><img src="data:image/png;base64,{data}" alt="{alt}"><span>{escape(short(name, 24))}</span></div>'


def png(pixels: np.ndarray) -> bytes:
    """Write (height, width) of 0 to 255 as a grey PNG, as its specification says (ISO/IEC 15948)."""
    height, width = pixels.shape
    # Each row begins with its filter, 0 for none. 8 bits, colour type 0: grey.
    rows = b"".join(b"\0" + row.tobytes() for row in pixels.astype(np.uint8))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
