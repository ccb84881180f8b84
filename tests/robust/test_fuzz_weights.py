"""Damaged and hostile weights: they are refused before anything of their claimed size is made, and nothing is run."""

import json
import pickle
import struct

import pytest
from damage import damaged
from fuzzing import MOST_MEMORY, PROFILE
from hypothesis import given
from hypothesis import strategies as st

from framedose.provenance import file_digest


@pytest.fixture
def weights(tiny_weights, tmp_path):
    """A copy of tiny weights, and a function that gives the .json of a changed file its right hash."""
    source, path = tiny_weights(), tmp_path / "tiny.safetensors"
    path.write_bytes(source.read_bytes())
    card = json.loads(source.with_suffix(".json").read_text())

    def agree(**network):
        content = {**card, "network": {**card["network"], **network}, "weights_sha256": file_digest(path)}
        path.with_suffix(".json").write_text(json.dumps(content))

    agree()
    return path, agree


def test_damaged_weights_of_the_right_hash(weights, victim):
    path, agree = weights
    assert victim.opens("weights", path) == ("read", "")

    @PROFILE
    @given(content=damaged(path.read_bytes(), header=2048))
    def check(content):
        path.write_bytes(content)
        agree()
        victim.opens("weights", path)

    check()
    assert victim.peak < MOST_MEMORY


def test_a_damaged_description(weights, victim):
    path, _ = weights
    card = path.with_suffix(".json")
    content = card.read_bytes()

    @PROFILE
    @given(content=damaged(content))
    def check(content):
        card.write_bytes(content)
        victim.opens("weights", path)

    check()
    card.write_bytes(b"[" * 50_000)
    assert victim.opens("weights", path)[0] == "refused"


@PROFILE
@given(
    header=st.one_of(
        st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4),
        st.fixed_dictionaries(
            {
                "w": st.fixed_dictionaries(
                    {
                        "dtype": st.sampled_from(["F32", "F64", "BF16", "BOOL", "X"]),
                        "shape": st.lists(st.integers(-1, 2**40), max_size=4),
                        "data_offsets": st.lists(st.integers(-1, 2**62), min_size=2, max_size=2),
                    }
                )
            }
        ),
    ),
    length=st.sampled_from([None, 0, 2**31, 2**63, 2**64 - 1]),
)
def test_headers_that_lie(header, length, weights, victim):
    path, agree = weights
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + bytes(64))
    agree()
    assert victim.opens("weights", path)[0] == "refused"


@pytest.mark.parametrize(
    "network",
    [
        {"width": 4096, "poolings": 6, "kernel": 11},
        {"width": 2**62},
        {"convolutions": 10**9},
        {"kind": "msdnet", "layers": 10**9},
        {"kernel": -1},
    ],
    ids=str,
)
def test_networks_that_fill_the_memory(network, weights, victim):
    path, agree = weights
    agree(**network)
    assert victim.opens("weights", path)[0] == "refused"
    assert victim.peak < MOST_MEMORY


def test_a_network_of_a_thousand_layers_is_compared_before_it_is_made(weights, victim):
    path, _ = weights
    card = json.loads(path.with_suffix(".json").read_text())
    card["network"] = {"kind": "msdnet", "layers": 1000, "width": 8, "kernel": 11}
    path.with_suffix(".json").write_text(json.dumps(card))
    outcome, words = victim.opens("weights", path)
    assert outcome == "refused"
    assert "does not fit" in words
    assert victim.peak < MOST_MEMORY


def test_damaged_checkpoints(victim, tmp_path):
    import torch

    from framedose.training.checkpoint import State

    network, path = torch.nn.Conv2d(1, 2, 3), tmp_path / "a.checkpoint.safetensors"
    adam = torch.optim.Adam(network.parameters())
    network(torch.zeros(1, 1, 4, 4)).sum().backward()
    adam.step()
    State({"network": network}, adam, "run", 1, {}).save(path)
    assert victim.opens("checkpoint", path) == ("read", "")

    @PROFILE
    @given(content=damaged(path.read_bytes(), header=1024))
    def check(content):
        path.write_bytes(content)
        victim.opens("checkpoint", path)

    check()
    path.write_bytes(pickle.dumps({"a": 1}))
    assert victim.opens("checkpoint", path)[0] == "refused"
