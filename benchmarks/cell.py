"""How many volumes a second are trained on? `fit` on a store, and a plain PyTorch loop with a worker loader, in turn.

Both train the same network on the same volumes with the same changes (mirrored, turned, shifted, zoomed; the nearest
voxel), optimiser and number of threads. The plain loop changes volume by volume with SciPy, in the workers of a
DataLoader as the seed does, or in its own process. It trains the network in two forms: with plain convolutions, as
anybody would write them, and our own, which keeps channels side by side. Then one training step of our ResNet-18 beside
MONAI's of the same size and stride, each with and without channels-last memory. On a busy machine the processor time
per volume says more than the clock.

    python benchmarks/cell.py [--rounds 3] [--steps 12] [--side 28] [--network tiny] [--threads 2]
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from homeostat.engine.fit import fit
from homeostat.engine.settings import Settings
from homeostat.recipes.cell import augment, learn
from homeostat.recipes.cell.config import SETTINGS, Config
from homeostat.recipes.cell.convolution import CutConv3d
from homeostat.recipes.cell.model import NetworkConfig, ResNet3d
from homeostat.recipes.cell.prepare import blueprint
from homeostat.run import create

Speed = tuple[float, float]
"""Volumes per second, and milliseconds of processor time per volume."""


def write_shapes(file: Path, count: int, side: int) -> None:
    """Random blobs in the format of MedMNIST."""
    random = np.random.default_rng(0)
    arrays = {}
    for name, number in (("train", count), ("val", 32)):
        noise = random.standard_normal((number, side, side, side)).astype(np.float32)
        smooth = ndimage.gaussian_filter(noise, (0, 3, 3, 3))
        arrays[f"{name}_images"] = (smooth > np.quantile(smooth, 0.95)).astype(np.uint8) * 255
        arrays[f"{name}_labels"] = (np.arange(number) % 3 == 0).astype(np.uint8)[:, None]
    np.savez(file, **arrays)


class Volumes(Dataset[tuple[Tensor, Tensor]]):
    """One volume at a time, read and changed in a worker process with SciPy, as the seed's loader does."""

    def __init__(self, voxels: np.ndarray, label: np.ndarray, config: augment.AugmentConfig) -> None:
        self.voxels, self.label, self.config = voxels, label, config

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        random = np.random.default_rng()
        turn = augment.rotation(
            random.standard_normal(3), np.radians(self.config.rotation_deg) * random.uniform(-1, 1)
        )
        turn *= 1 + self.config.zoom * random.uniform(-1, 1)
        if random.random() < 0.5:
            turn[0] *= -1
        volume = np.asarray(self.voxels[index], np.float32)
        middle = (np.array(volume.shape[1:]) - 1) / 2
        move = self.config.shift * volume.shape[1] * random.uniform(-1, 1, 3)
        changed = [
            ndimage.affine_transform(one, turn, middle - turn @ middle + move, order=0) for one in volume
        ]
        return torch.from_numpy(np.stack(changed)), torch.tensor(self.label[index])


def plain_loop(network: nn.Module, data: Volumes, batch: int, steps: int, workers: int) -> Speed:
    """After the first step, which starts the workers; their processor time is not seen from here."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    loader = DataLoader(
        data, batch, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )
    network.train()
    done, began, busy = 0, 0.0, 0.0
    while done <= steps:
        for volume, label in loader:
            loss = functional.binary_cross_entropy_with_logits(network(volume), label)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            loss.item()
            if done == 0:
                began, busy = time.perf_counter(), time.process_time()
            done += 1
            if done > steps:
                break
    count = steps * batch
    return count / (time.perf_counter() - began), (time.process_time() - busy) / count * 1e3


def plainly(network: ResNet3d) -> ResNet3d:
    """The same layers and weights with torch's own convolutions, in the order that memory has by itself."""
    network.channels_last = False
    for layer in network.modules():
        if isinstance(layer, CutConv3d):
            layer.forward = layer.whole.forward  # type: ignore[method-assign]
    return network


def ours(config: Config, rows: learn.Rows, steps: int) -> Speed:
    """`fit` with its journal, guards and checkpoints on."""
    marks: list[tuple[float, float]] = []
    task = learn.make_task(config, rows, seed=0)
    timed = task.loss

    def loss(model: nn.Module, batch: learn.Batch) -> learn.Loss:
        marks.append((time.perf_counter(), time.process_time()))
        return timed(model, batch)

    epochs = -(-(steps + 1) // len(task.batches))
    settings: Settings = replace(config.fit, epochs=epochs, evaluate_every=10**9, audits=False)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        fit(replace(task, loss=loss), settings, create(Path(folder) / "run", {}))
    (began, busy), (end, busy_end) = marks[-steps - 1], marks[-1]
    count = steps * config.batch_size
    return count / (end - began), (busy_end - busy) / count * 1e3


def step_s(network: nn.Module, volume: Tensor, repeats: int, memory: torch.memory_format) -> float:
    """Least processor time of a forward and backward pass."""
    network, volume = network.to(memory_format=memory).train(), volume.contiguous(memory_format=memory)
    times = []
    for _ in range(repeats):
        began = time.process_time()
        network(volume).sum().backward()
        times.append(time.process_time() - began)
    return min(times)


def resnet18(channels: int) -> ResNet3d:
    options = NetworkConfig(channel_dropout=0.0, head_dropout=0.0)
    return ResNet3d(options, "resnet18", channels=channels, encoding="scaled", unit=255.0)


def compare_networks(side: int, batch: int, repeats: int) -> None:
    volume = torch.rand(batch, 1, side, side, side) * 255
    made: dict[str, tuple[Callable[[], nn.Module], torch.memory_format]] = {
        "resnet18, ours": (lambda: resnet18(1), torch.contiguous_format),
        "resnet18, ours, channels last": (lambda: resnet18(1), torch.channels_last_3d),
        "resnet18, ours, every tap": (lambda: plainly(resnet18(1)), torch.contiguous_format),
    }
    try:
        from monai.networks.nets import resnet

        def peer() -> nn.Module:
            return resnet.resnet18(spatial_dims=3, n_input_channels=1, num_classes=1, conv1_t_stride=2)

        made["resnet18, MONAI"] = (peer, torch.contiguous_format)
        made["resnet18, MONAI, channels last"] = (peer, torch.channels_last_3d)
    except ModuleNotFoundError:
        print("MONAI is not installed: pip install monai")
    best = dict.fromkeys(made, float("inf"))
    networks = {name: build() for name, (build, _) in made.items()}
    for _ in range(repeats):
        for name, (_, memory) in made.items():
            best[name] = min(best[name], step_s(networks[name], volume, 1, memory))
    for name, seconds in best.items():
        weights = sum(p.numel() for p in networks[name].parameters())
        print(
            f"{name:34s} {weights / 1e6:6.2f} M weights {seconds / batch * 1e3:8.1f} ms of processor time per volume"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--network", default="tiny")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print(
        f"{platform.machine()}, torch {torch.__version__}, {asked.threads} threads, {asked.workers} workers"
    )
    with tempfile.TemporaryDirectory() as folder:
        write_shapes(Path(folder) / "shapes.npz", 12 * asked.batch, asked.side)
        store = blueprint(Path(folder) / "shapes.npz").build(Path(folder) / "stores")
        parts = np.asarray(store["part"])
        rows = learn.Rows(
            store=store, train=np.flatnonzero(parts == "train"), valid=np.flatnonzero(parts == "valid")
        )
        config = Config(batch_size=asked.batch, model=NetworkConfig(network=asked.network), fit=SETTINGS)
        data = Volumes(store["voxels"][rows.train], store["label"][rows.train], config.augment)
        best: dict[str, Speed] = {}
        for _ in range(asked.rounds):
            found = {"homeostat fit": ours(config, rows, asked.steps)}
            for workers in range(asked.workers + 1):
                for form, built in (
                    ("plain", plainly(learn.network(config, store, 0))),
                    ("our", learn.network(config, store, 0)),
                ):
                    found[f"loop, {form} network, {workers} workers"] = plain_loop(
                        built, data, asked.batch, asked.steps, workers
                    )
            for name, (rate, busy_ms) in found.items():
                fastest, least = best.get(name, (0.0, float("inf")))
                best[name] = max(rate, fastest), min(busy_ms, least)
    fastest, least = best["homeostat fit"]
    print(f"{'':34s} volumes per second      ms of processor time per volume")
    for name, (rate, busy_ms) in best.items():
        print(f"{name:34s} {rate:8.1f} ({fastest / rate:.2f} x) {busy_ms:14.2f} ({busy_ms / least:.2f} x)")
    print("The processor time of workers is not in that of their loop.")
    compare_networks(asked.side, 16, asked.rounds)


if __name__ == "__main__":
    main()
