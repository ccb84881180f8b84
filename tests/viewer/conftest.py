"""A real napari window. Without napari or a display these tests are skipped, and say why."""

import os
import sys

import numpy as np
import pytest
import torch


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    # Before any fixture: Qt ends the whole process where there is no display.
    reason = "needs the extra napari and pytest-qt"
    pytest.importorskip("napari", reason=reason)
    pytest.importorskip("pytestqt", reason=reason)
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        pytest.skip("no display: run under xvfb-run -a")


@pytest.fixture
def viewer(make_napari_viewer):
    from napari.utils.notifications import notification_manager

    notification_manager.records.clear()
    return make_napari_viewer(show=True)


@pytest.fixture
def panel(viewer):
    """The plugin's widget, opened as napari's menu opens it."""
    _, widget = viewer.window.add_plugin_dock_widget("framedose", "framedose")
    return widget


@pytest.fixture
def finished(qtbot, panel):
    """Wait for the task in work."""

    def wait():
        qtbot.waitUntil(lambda: not panel.tasks.running, timeout=120_000)

    return wait


@pytest.fixture
def said(viewer):
    """What napari's notifications say."""
    from napari.utils.notifications import notification_manager

    return lambda: [record.message for record in notification_manager.records]


@pytest.fixture(scope="session")
def weights(tiny_weights, tmp_path_factory):
    """A very small untrained U-net for 0.3 Å/px whose probabilities spread from 0 to 1."""
    from framedose.area_interval import AreaInterval
    from framedose.networks.weights import load_network, save_network

    loaded = load_network(tiny_weights())
    with torch.no_grad():
        loaded.network.head.weight.mul_(40)
        noise = torch.randn(1, 1, 64, 80, generator=torch.Generator().manual_seed(0))
        # Few pixels, as each spreads over its rim.
        loaded.network.head.bias.sub_(loaded.network(noise).quantile(0.98))
    path = tmp_path_factory.mktemp("spread") / "spread.safetensors"
    interval = AreaInterval(level=0.9, upper=0.95, frames=20)
    save_network(path, loaded.network, loaded.metadata.model_copy(update={"area_interval": interval}))
    return path


@pytest.fixture
def series(tmp_path):
    """Four frames of noise with 0.3 Å/px."""
    from framedose.files import write_tiff

    path = tmp_path / "series.tif"
    write_tiff(path, np.random.default_rng(0).normal(100, 10, (4, 64, 80)).astype(np.float32), 0.3)
    return path
