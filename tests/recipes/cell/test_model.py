"""Laws of the networks: their size, their start, and that nobody's score depends on the company."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from homeostat.recipes.cell.model import LAYOUTS, NetworkConfig, ResNet3d, conv, encode

SMALL = tuple(name for name in LAYOUTS if name != "resnet50")


def network(name="tiny", norm="batch", channels=1, encoding="scaled", **options):
    torch.manual_seed(0)
    return ResNet3d(
        NetworkConfig(norm=norm, **options), name, channels=channels, encoding=encoding, unit=255.0
    )


def weights(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_seeds_network_has_the_seeds_size():
    # 909,057 in the seed; 704 of them are biases in front of a batch normalisation, which takes them away again.
    assert weights(network("time", channels=2)) == 909_057 - 704


def test_resnet18_has_the_size_of_the_published_one():
    # 33.16 million for the 3-D ResNet-18 (Hara et al. 2018); one input channel and one output here.
    assert weights(network("resnet18")) == pytest.approx(33.16e6, rel=0.01)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("share", [0.5, 0.22])
def test_the_first_loss_is_the_entropy_of_the_prior(name, norm, share):
    model = network(name, norm).start_at_prior(share, share)
    volume = torch.randint(0, 255, (16, 1, 16, 8, 8), dtype=torch.uint8)
    label = (torch.arange(16) < round(16 * share)).float()
    found = functional.binary_cross_entropy_with_logits(model(volume), label).item()
    rate = label.mean().item()
    expected = -rate * math.log(share) - (1 - rate) * math.log(1 - share)
    assert found == pytest.approx(expected, abs=0.05)


def test_kaiming_on_the_last_layer_is_what_made_the_seeds_start_three():
    model = network("time")
    torch.nn.init.kaiming_normal_(model.last.weight, mode="fan_out", nonlinearity="relu")
    volume = torch.randint(0, 255, (16, 1, 16, 8, 8), dtype=torch.uint8)
    label = (torch.arange(16) % 2).float()
    assert functional.binary_cross_entropy_with_logits(model(volume), label).item() > 1.0


@pytest.mark.parametrize("name", SMALL)
def test_a_volume_scores_the_same_alone_and_in_company(name):
    model = network(name).eval()
    volumes = torch.randint(0, 255, (5, 1, 16, 8, 8), dtype=torch.uint8)
    together = model(volumes)
    alone = torch.cat([model(volumes[place : place + 1]) for place in range(5)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_group_normalisation_does_not_depend_on_the_batch_in_training_either():
    model = network(norm="group", channel_dropout=0.0, head_dropout=0.0)
    volumes = torch.randint(0, 255, (4, 1, 8, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(model(volumes)[:1], model(volumes[:1]), atol=1e-5, rtol=1e-4)


def test_each_block_starts_as_its_shortcut():
    model = network("small")
    assert all(block.last_norm.weight.abs().max() == 0 for stage in model.stages for block in stage[:1])


def test_brightness_does_not_show_in_the_decay():
    counts = torch.poisson(torch.rand(2, 1, 8, 4, 4) * 50)
    torch.testing.assert_close(encode(counts, "decay", 1.0), encode(counts * 7, "decay", 1.0))
    assert not torch.allclose(encode(counts, "photons", 1.0), encode(counts * 7, "photons", 1.0))


def test_a_dark_volume_is_no_division_by_zero():
    assert encode(torch.zeros(1, 1, 4, 4, 4), "decay+photons", 1.0).isfinite().all()


def test_batches_of_one_train():
    model = network("tiny")
    model(torch.randint(0, 255, (1, 1, 16, 16, 16), dtype=torch.uint8)).sum().backward()


@pytest.mark.parametrize("side", [1, 2, 3, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_taps_that_see_padding_alone_change_nothing(side, stride):
    """Values and both gradients are those of torch's own convolution."""
    torch.manual_seed(0)
    network = conv(3, 4, (3, 3, 3), (stride,) * 3).double()
    plain = torch.nn.Conv3d(3, 4, 3, stride, padding=1, bias=False).double()
    plain.load_state_dict(network.whole.state_dict())
    volume = torch.randn(2, 3, side, side, 5, dtype=torch.float64)
    output = []
    for layer, whole in ((network, network.whole), (plain, plain)):
        seen = volume.clone().requires_grad_()
        out = layer(seen)
        out.sin().sum().backward()
        output.append((out.detach(), seen.grad, whole.weight.grad))
    for ours, reference in zip(*output, strict=True):
        torch.testing.assert_close(ours, reference)


@pytest.mark.parametrize("kernel", [3, 7])
def test_a_kernel_wider_than_the_volume_is_cut_to_it(kernel):
    torch.manual_seed(0)
    network = conv(2, 3, (kernel,) * 3, (2, 2, 2)).double()
    volume = torch.randn(2, 2, 2, 3, 4, dtype=torch.float64)
    expected = functional.conv3d(volume, network.whole.weight, None, 2, kernel // 2)
    torch.testing.assert_close(network(volume), expected)


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_the_order_of_channels_in_memory_changes_no_answer(name):
    model = network(name, channels=2, zero_last_norm=False).eval()
    volume = torch.rand(3, 2, 8, 8, 8) * 255
    last = model(volume)
    model.channels_last = False
    torch.testing.assert_close(model(volume), last, atol=1e-4, rtol=1e-3)
