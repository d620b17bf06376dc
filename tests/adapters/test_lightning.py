"""In the real Lightning Trainer, guards hear what happens, halt what must halt, and survive its checkpoints."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from homeostat.errors import Halted

lightning = pytest.importorskip(
    "lightning", reason="Lightning is not installed; pip install 'homeostat[bench]'", exc_type=ImportError
)

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's own, about workers and loggers

X = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
Y = torch.sin(X.sum(1, keepdim=True))


class Net(lightning.LightningModule):  # type: ignore[misc, name-defined]
    def __init__(self, ill_at: int = -1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
        self.ill_at = ill_at

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        loss = nn.functional.mse_loss(self.net(batch[0]), batch[1])
        return loss * math.nan if self.global_step == self.ill_at else loss

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("valid/mse", nn.functional.mse_loss(self.net(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def trained(callback: Any, folder: Path, ill_at: int = -1, epochs: int = 4, **fit: Any) -> Any:
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[callback],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=folder,
    )
    data = DataLoader(TensorDataset(X, Y), batch_size=16)
    trainer.fit(Net(ill_at), data, data, **fit)
    return trainer


def test_a_healthy_training_is_heard_and_left_alone(tmp_path: Path) -> None:
    from homeostat.adapters.lightning import GuardCallback

    callback = GuardCallback("valid/mse")
    trained(callback, tmp_path, epochs=12)
    assert [alarm.guard for alarm in callback.alarms if alarm.level == "halt"] == []
    state = callback.state_dict()
    assert state["step"] == 72
    assert state["epoch"] == 12
    assert state["guards"]["unchanged"] == {"still": {}, "is_told": False}  # type: ignore[index]
    assert len(state["guards"]["plateau"]["scores"]) == 12  # type: ignore[index]


def test_a_loss_that_is_no_number_halts_before_the_step(tmp_path: Path) -> None:
    from homeostat.adapters.lightning import GuardCallback

    callback = GuardCallback("valid/mse")
    with pytest.raises(Halted, match="At step 7 the loss is nan"):
        trained(callback, tmp_path, ill_at=7)
    assert callback.alarms[-1].guard == "finite"


def test_told_not_to_halt_it_only_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from homeostat.adapters.lightning import GuardCallback

    callback = GuardCallback("valid/mse", halts=False)
    trained(callback, tmp_path, ill_at=7)
    assert "guard finite" in caplog.text


def test_its_state_travels_with_lightnings_checkpoint(tmp_path: Path) -> None:
    from homeostat.adapters.lightning import GuardCallback

    first = GuardCallback("valid/mse")
    trained(first, tmp_path, epochs=2).save_checkpoint(tmp_path / "half.ckpt")
    second = GuardCallback("valid/mse")
    trained(second, tmp_path, epochs=4, ckpt_path=tmp_path / "half.ckpt")
    whole = GuardCallback("valid/mse")
    trained(whole, tmp_path, epochs=4)
    assert second.state_dict()["step"] == whole.state_dict()["step"] == 24
    spike = [each.state_dict()["guards"]["spike"]["usual"]["centre"] for each in (second, whole)]  # type: ignore[index]
    assert spike[0] == pytest.approx(spike[1], rel=1e-4)
