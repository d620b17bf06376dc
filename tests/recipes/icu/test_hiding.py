"""Laws of hiding: what is hidden depends on (seed, epoch, stay) alone, and on average as much as the settings say."""

from dataclasses import replace

import numpy as np
import torch

from homeostat.recipes.icu.hiding import hider


def hidden(stays, rows, epoch, seed=0, share=0.3, window=0.2):
    batch = hider(seed, share, window)(stays.gather(np.asarray(rows)), epoch)
    return {int(stay): batch.seen[batch.owner == place] for place, stay in enumerate(batch.ids)}


def test_a_stay_is_hidden_alike_in_any_batch(stays):
    alone = hidden(stays, [5], epoch=2)
    among = hidden(stays, [9, 5, 3], epoch=2)
    assert torch.equal(alone[5], among[5])


def test_another_epoch_or_seed_hides_others(stays):
    rows = np.arange(50)
    first, later = hidden(stays, rows, 0), hidden(stays, rows, 1)
    other = hidden(stays, rows, 0, seed=1)
    assert any(not torch.equal(first[row], later[row]) for row in rows)
    assert any(not torch.equal(first[row], other[row]) for row in rows)


def test_nothing_is_hidden_at_a_share_of_zero(stays):
    assert all(seen.all() for seen in hidden(stays, np.arange(40), 0, share=0.0, window=0.0).values())


def test_the_hidden_share_is_that_of_the_settings(stays):
    shares = [
        1 - seen.float().mean().item()
        for epoch in range(20)
        for seen in hidden(stays, np.arange(100), epoch, share=0.3, window=0.0).values()
    ]
    assert abs(np.mean(shares) - 0.7 * 0.3) < 0.02


def test_windows_hide_whole_hours(stays):
    hide = hider(0, 0.0, 0.99)
    batch = hide(stays.gather(np.arange(100)), 0)
    assert not batch.seen.all()
    for place in range(100):
        own = batch.owner == place
        gone = batch.time[own & ~batch.seen]
        if len(gone):
            inside = (batch.time[own] >= gone.min()) & (batch.time[own] <= gone.max())
            assert not batch.seen[own][inside].any()


def test_a_hidden_observation_never_reaches_the_statistics(stays):
    from homeostat.recipes.icu.summary import statistics

    batch = hider(0, 0.4, 0.2)(stays.gather(np.arange(20)), 0)
    nonsense = replace(batch, value=torch.where(batch.seen, batch.value, torch.full_like(batch.value, 1e6)))
    assert torch.equal(statistics(batch, stays.variables), statistics(nonsense, stays.variables))
