"""Run folders as a training leaves them behind, made of plain files."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from homeostat.evaluate import summary
from homeostat.evaluate.predictions import Predictions, write
from homeostat.run import Run
from homeostat.run.sealed import write_json

SETTINGS = summary.Settings(resamples=200)


def journal(epochs=8, steps=40, best=5, alarm=True, resume=True):
    """Events of a training whose best state is that of epoch `best`."""
    lines = [{"kind": "start", "step": 0, "total": epochs * steps, "steps_per_epoch": steps}]
    for epoch in range(1, epochs + 1):
        step = epoch * steps
        lines.append({"kind": "epoch", "step": step, "epoch": epoch, "train/loss": 0.6 * 0.85**epoch + 0.2})
        auroc = 0.86 - 0.15 * 0.5**epoch - 0.004 * max(0, epoch - best)
        score = {
            "valid/loss": 0.35 + 0.2 * 0.6**epoch,
            "valid/auroc": auroc,
            "seconds": 0.4,
            "best": epoch <= best,
        }
        lines.append({"kind": "score", "step": step, "epoch": epoch, **score})
        if resume and epoch == 3:
            lines.append({"kind": "resume", "step": step, "total": epochs * steps})
        if alarm and epoch == 7:
            sentence = "Validation loss rose for 2 evaluations while training loss fell."
            lines.append(
                {
                    "kind": "alarm",
                    "step": step,
                    "guard": "overfit",
                    "level": "warn",
                    "sentence": sentence,
                    "remedy": "stop",
                }
            )
    return "".join(json.dumps({"time": "2026-11-20T09:31:02.000+00:00"} | line) + "\n" for line in lines)


def plain_files(folder, recipe="icu", state="done", splits=None, **training):
    folder.mkdir(parents=True)
    config = {"recipe": recipe, "data": "data", "config": {"latent_dim": 32, "fit": {"epochs": 8, "seed": 0}}}
    status = {"state": state, "reason": "", "step": 320, "started": "2026-11-20T09:30:12.000+00:00"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "environment.json").write_text(
        json.dumps({"python": "3.11.7", "precision": {"reason": "CPU: fp32"}})
    )
    (folder / "status.json").write_text(json.dumps(status))
    (folder / "journal.jsonl").write_text(journal(**training))
    if splits is not None:
        (folder / "splits.json").write_text(json.dumps({"by": "subject", "fingerprint": "x"} | splits))
    return folder


def evaluated(folder, *predictions, **settings):
    for p in predictions:
        write(p, folder / "predictions" / f"{p.split}-{p.model}.parquet".replace(" ", "-"))
    files = sorted((folder / "predictions").glob("*.parquet"))
    how = replace(SETTINGS, model=predictions[0].model, **settings)
    metrics = summary.summarise(files, ledger_file=Run(folder).ledger_file, settings=how)
    write_json(folder / "metrics.json", metrics)
    return folder


def stays(n, split, noise, model, seed, first=0):
    random = np.random.default_rng([seed, first])
    x = random.normal(size=n) * 1.5 - 2.4
    truth = random.random(n) < special.expit(x)
    groups = {
        "sex": random.choice(["female", "male"], n),
        "unit": random.choice(["cardiac", "medical", "burns"], n, p=[0.5, 0.49, 0.01]),
    }
    blur = np.random.default_rng([seed, first, len(model)]).normal(size=n) * noise
    return Predictions.build(
        "binary",
        split,
        ids=np.arange(first, first + n),
        targets=truth,
        outputs=special.expit(1.2 * (x + blur)),
        names=("in-hospital death",),
        groups=groups,
        model=model,
        selected="best valid/auroc, epoch 5",
    )


@pytest.fixture(scope="session")
def icu_run_once(tmp_path_factory):
    """A finished binary run with a yard-stick."""
    splits = {
        "train": [*map(str, range(5000, 7000))],
        "valid": [*map(str, range(3000, 4000))],
        "test": [*map(str, range(1500))],
    }
    folder = plain_files(tmp_path_factory.mktemp("once") / "runs" / "icu-20261120-093012", splits=splits)
    files = [
        stays(n, split, noise, model, 0, first)
        for split, n, first in (("test", 1500, 0), ("valid", 1000, 3000))
        for model, noise in (("latent-ode", 0.4), ("xgboost", 0.9))
    ]
    return evaluated(folder, *files)


def fading(n, off, model, seed=0, points=30):
    random = np.random.default_rng(seed)
    cycle = np.tile(np.arange(points) * 5.0, n)
    cell = np.repeat(np.arange(n), points)
    truth = 1 - np.repeat(random.uniform(0.0008, 0.002, n), points) * cycle
    truth -= 0.15 * special.expit((cycle - np.repeat(random.uniform(80, 140, n), points)) / 8)
    wrong = np.random.default_rng([seed, len(model)])
    drift = np.repeat(wrong.normal(size=n) * off, points) * cycle / 150
    return Predictions.build(
        "regression",
        "test",
        ids=[f"{c}:{t:.0f}" for c, t in zip(cell, cycle, strict=True)],
        subjects=[f"B{c:04d}" for c in cell],
        names=("state of health",),
        targets=truth,
        outputs=truth + drift + wrong.normal(size=len(truth)) * off / 5,
        time=cycle,
        time_unit="cycles",
        model=model,
    )


@pytest.fixture(scope="session")
def battery_run_once(tmp_path_factory):
    """Trajectories, with folds as child runs."""
    folder = plain_files(
        tmp_path_factory.mktemp("once") / "runs" / "battery-1", "battery", epochs=0, alarm=False, resume=False
    )
    evaluated(
        folder, fading(12, 0.02, "neural-ode"), fading(12, 0.06, "linear fade"), headline="rmse per subject"
    )
    for k in range(3):
        child = plain_files(folder / "children" / f"fold-{k}", "battery", alarm=False, best=8)
        evaluated(child, fading(4, 0.02, "neural-ode", seed=k + 1))
    return folder


@pytest.fixture(scope="session")
def chest_run_once(tmp_path_factory):
    """Several targets, one of them too rare."""
    random = np.random.default_rng(0)
    truth = (random.random((500, 4)) < [0.5, 0.2, 0.1, 0.008]).astype(float)
    folder = plain_files(tmp_path_factory.mktemp("once") / "runs" / "chest-1", "chest", alarm=False)
    predictions = [
        Predictions.build(
            "multilabel",
            "test",
            ids=range(500),
            subjects=np.arange(500) // 2,
            names=("no finding", "effusion", "edema", "hernia"),
            targets=truth,
            outputs=np.clip(0.3 + gain * truth + random.normal(size=truth.shape) * 0.2, 0, 1),
            model=model,
        )
        for model, gain in (("stack", 0.25), ("densenet", 0.2))
    ]
    return evaluated(folder, *predictions)


@pytest.fixture(scope="session")
def halted_run_once(tmp_path_factory):
    """A run that a guard stopped before there was anything to score."""
    folder = plain_files(tmp_path_factory.mktemp("once") / "runs" / "cell-1", "cell", "halted", epochs=2)
    status = json.loads((folder / "status.json").read_text()) | {
        "reason": "Guard finite: loss is not finite."
    }
    (folder / "status.json").write_text(json.dumps(status))
    return folder


def _copy(folder, tmp_path):
    """A run of its own for each test: computing the scores once is enough."""
    return shutil.copytree(folder, tmp_path / "runs" / folder.name)


@pytest.fixture
def icu_run(icu_run_once, tmp_path):
    return _copy(icu_run_once, tmp_path)


@pytest.fixture
def battery_run(battery_run_once, tmp_path):
    return _copy(battery_run_once, tmp_path)


@pytest.fixture
def chest_run(chest_run_once, tmp_path):
    return _copy(chest_run_once, tmp_path)


@pytest.fixture
def halted_run(halted_run_once, tmp_path):
    return _copy(halted_run_once, tmp_path)
