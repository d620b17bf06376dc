"""In the real Hugging Face Trainer, guards hear what happens and stop what must stop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

transformers = pytest.importorskip(
    "transformers",
    reason="transformers is not installed; pip install transformers accelerate",
    exc_type=ImportError,
)
pytest.importorskip(
    "accelerate", reason="its Trainer needs accelerate; pip install accelerate", exc_type=ImportError
)

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers' own, about pinned memory

X = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
Y = torch.sin(X.sum(1, keepdim=True))
ROWS = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]


class Net(nn.Module):
    def __init__(self, ill_at: int = -1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
        self.ill_at, self.calls = ill_at, 0

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        predictions = self.net(x)
        loss = nn.functional.mse_loss(predictions, labels)
        self.calls += self.training
        return {"loss": loss * math.nan if self.calls == self.ill_at else loss, "logits": predictions}


def trained(callback: Any, folder: Path, ill_at: int = -1, epochs: int = 4) -> Any:
    chosen = transformers.TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=16,
        learning_rate=1e-2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="epoch",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        seed=0,
    )
    trainer = transformers.Trainer(
        model=Net(ill_at), args=chosen, train_dataset=ROWS, eval_dataset=ROWS, callbacks=[callback]
    )
    trainer.train()
    return trainer


def test_a_healthy_training_is_heard_and_left_alone(tmp_path: Path) -> None:
    from homeostat.adapters.transformers import GuardCallback

    callback = GuardCallback("eval_loss")
    trainer = trained(callback, tmp_path)
    assert [alarm.guard for alarm in callback.alarms if alarm.level == "halt"] == []
    assert trainer.state.global_step == 24


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    from homeostat.adapters.transformers import GuardCallback

    callback = GuardCallback("eval_loss")
    trainer = trained(callback, tmp_path, ill_at=8)
    assert callback.alarms[0].guard == "finite"
    assert "At step 7 the loss is nan" in callback.alarms[0].sentence
    assert trainer.state.global_step == 8


def test_told_not_to_halt_it_only_says_so(tmp_path: Path) -> None:
    from homeostat.adapters.transformers import GuardCallback

    callback = GuardCallback("eval_loss", halts=False)
    trainer = trained(callback, tmp_path, ill_at=8)
    assert callback.alarms
    assert trainer.state.global_step == 24


def test_an_optimiser_that_moves_nothing_is_stopped(tmp_path: Path) -> None:
    from homeostat.adapters.transformers import GuardCallback

    class Still(Net):
        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            outputs = super().forward(x, labels)
            return {"loss": outputs["loss"] * 0.0, "logits": outputs["logits"]}

    callback = GuardCallback("eval_loss")
    chosen = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        num_train_epochs=2,
        logging_steps=1,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    transformers.Trainer(model=Still(), args=chosen, train_dataset=ROWS, callbacks=[callback]).train()
    assert "unchanged" in [alarm.guard for alarm in callback.alarms]
