from types import SimpleNamespace

import pytest
import torch

from framedose.networks.config import UNetConfig
from framedose.networks.unet import UNet
from framedose.training import speed
from framedose.training.speed import choose_fastest, kept_from_vanishing

CONFIG = UNetConfig(width=2, poolings=1, convolutions=2, kernel=3, norm="batch")
EAGER_SECONDS = 1.0


@pytest.mark.parametrize(("compiled", "expected"), [(0.5, "compiled"), (1.5, "eager"), (None, "eager")])
def test_the_faster_way_is_kept_and_nothing_else_changes(monkeypatch, compiled, expected):
    """``compile`` and the clock are replaced: compiling needs a compiler that users lack, and tests no real time."""
    net, image = UNet(CONFIG, seed=0), torch.randn(1, 1, 16, 16)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    eager, clock = net._call_impl, SimpleNamespace(now=0.0)
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def fast(*words):
        if compiled is None:
            raise RuntimeError("no compiler")
        clock.now += compiled - EAGER_SECONDS
        return eager(*words)

    monkeypatch.setattr(net, "compile", lambda: setattr(net, "_compiled_call_impl", fast), raising=False)

    def step():
        clock.now += EAGER_SECONDS
        net(image).sum().backward()

    assert choose_fastest(net, step) == expected
    assert (net._compiled_call_impl is fast) == (expected == "compiled")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_gradient_is_changed_only_where_it_vanishes():
    gradient = torch.tensor([1e-3, -1e-9, 1e-14, -1e-30, 1e-44, 0.0])
    kept = kept_from_vanishing(gradient)
    assert torch.equal(kept[:3], gradient[:3])
    assert kept[3:].tolist() == pytest.approx([-1e-15, 1e-15, 1e-15])


def test_certain_pixels_leave_no_denormal_numbers_and_the_same_gradient():
    net, images = UNet(CONFIG.model_copy(update={"width": 8, "poolings": 3, "norm": "none"}), seed=0), noise()
    as_it_is, denormal = gradients(net, images, lambda gradient: gradient)
    kept, none = gradients(net, images, kept_from_vanishing)
    assert denormal > 1000
    assert none == 0
    for one, other in zip(as_it_is, kept, strict=True):
        assert (one - other).abs().max() <= 1e-6 * one.abs().max()


def noise():
    return torch.randn(2, 1, 128, 128, generator=torch.Generator().manual_seed(1))


def gradients(net, images, hook):
    """Gradients of the weights, most of the pixels being certain, and how many denormal numbers reached the layers."""
    count, tiny = 0, torch.finfo(torch.float32).tiny

    def look(gradient):
        nonlocal count
        count += int(((gradient != 0) & (gradient.abs() < tiny)).sum())

    layers = [layer for layer in net.modules() if isinstance(layer, torch.nn.Conv2d)]
    handles = [layer.register_forward_hook(lambda _, __, maps: maps.register_hook(look) and None) for layer in layers]
    net.zero_grad()
    logits = net(images) + torch.nn.functional.pad(torch.linspace(-100, -60, 112), (0, 16))
    logits.register_hook(hook)
    torch.nn.functional.softplus(logits).mean().backward()
    for handle in handles:
        handle.remove()
    return [parameter.grad.clone() for parameter in net.parameters()], count
