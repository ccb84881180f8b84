from types import SimpleNamespace

import pytest
import torch

from framedose.networks.unet import UNet, UNetConfig
from framedose.training import speed
from framedose.training.speed import choose_fastest, denormals_flushed

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


def test_denormal_numbers_are_zero_for_as_long_as_asked():
    half_of_the_least = torch.tensor([torch.finfo(torch.float32).tiny]).mul
    with denormals_flushed():
        assert half_of_the_least(0.5).item() == 0
    assert half_of_the_least(0.5).item() > 0
    with pytest.raises(KeyError), denormals_flushed():
        raise KeyError
    assert half_of_the_least(0.5).item() > 0
