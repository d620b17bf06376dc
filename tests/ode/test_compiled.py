"""A compiled step is the plain step; where there is no compiler, a compiled solve is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from homeostat.ode import odeint
from homeostat.ode.compiled import choose_step, compiler_obstacle
from homeostat.ode.march import iterate
from ode.problems import bent


@pytest.fixture
def fresh() -> Iterator[None]:
    compiler_obstacle.cache_clear()
    yield
    compiler_obstacle.cache_clear()


def test_nothing_is_compiled_unless_it_is_asked_for() -> None:
    assert choose_step("auto", True, "a reason") == (iterate, "plain: a reason")
    assert choose_step("plain", True, "it was asked for") == (iterate, "plain: it was asked for")


def test_fixed_steps_are_not_compiled() -> None:
    y0, t = torch.randn(2, 3), torch.tensor([0.0, 1.0])
    with pytest.raises(
        ValueError, match=r"backend='compiled' cannot solve this: .* steps, and these are fixed\."
    ):
        odeint(bent, y0, t, solver="rk4", step_size=0.1, backend="compiled")


def test_without_a_compiler_a_compiled_solve_is_refused(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", broken)
    y0, t = torch.randn(2, 3), torch.tensor([0.0, 1.0])
    sentence = (
        r"torch\.compile does not work on this machine \(RuntimeError: no compiler\)\. Use backend='auto'\."
    )
    with pytest.raises(ValueError, match=sentence):
        odeint(bent, y0, t, backend="compiled")
    assert odeint(bent, y0, t, backend="auto").require_ok()


COMPARISON = """
import torch
from homeostat.ode import odeint

torch.manual_seed(0)
layers = torch.nn.Linear(3, 8), torch.nn.Linear(8, 3)
parameters = [p for layer in layers for p in layer.parameters()]
t = torch.tensor([[0.0, 0.5, 2.0], [1.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
y0 = torch.randn(3, 3, requires_grad=True)
results = []
for backend in ("compiled", "plain"):
    solution = odeint(lambda t, y: layers[1](layers[0](y).cos()), y0, t, backend=backend).require_ok()
    assert solution.method.startswith(backend), solution.method
    results.append((solution.ys, *torch.autograd.grad(solution.ys.square().sum(), [y0, *parameters])))
for compiled, plain in zip(*results, strict=True):
    torch.testing.assert_close(compiled, plain, rtol=1e-3, atol=1e-4)
"""


@pytest.mark.slow
def test_a_compiled_solve_is_the_plain_solve_with_its_gradients(tmp_path: Path) -> None:
    """In a process of its own, because the compiler leaves settings behind."""
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", COMPARISON], env=environment, capture_output=True, text=True)
    if "torch.compile does not work on this machine" in done.stderr:
        pytest.skip("torch.compile does not work on this machine.")
    assert done.returncode == 0, done.stderr
