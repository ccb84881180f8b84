import pytest
import torch

from framedose.networks.preprocess import probability_of
from framedose.training.config import TrainingConfig
from framedose.training.objective import loss_of, particle_weights


def learned(labels, classes, weight):
    """Return the probability of particle that has the least loss where the labels (n, y, x) are all that is known."""
    logits = torch.zeros(1, classes, 1, 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = loss_of(logits.expand(len(labels), classes, *labels.shape[1:]), labels, weight).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return float(probability_of(logits.detach()))


@pytest.mark.parametrize("weight", [1.0, 4.0])
@pytest.mark.parametrize("classes", [1, 3])
def test_a_weight_moves_the_probability_that_is_learned(classes, weight):
    labels = torch.tensor([[[1, 0, 0, 2, 1], [0, 0, 2, 0, 0]]], dtype=torch.uint8)
    share = 0.2
    if classes == 1:
        labels = labels == 1
    expected = weight * share / (weight * share + 1 - share)
    assert learned(labels, classes, weight) == pytest.approx(expected, abs=1e-4)


def test_a_weight_of_low_doses_moves_the_probability_there_and_leaves_it_at_high_ones():
    config = TrainingConfig(steps=1, low_dose_weight=5.0, low_dose=50.0)
    few, half, many = particle_weights(config, torch.tensor([1e-4, 50.0, 5e6])).tolist()
    assert (few, half, many) == (pytest.approx(5, abs=1e-3), pytest.approx(5**0.5), pytest.approx(1, abs=1e-3))
    labels = torch.zeros(2, 1, 5, dtype=torch.bool)
    labels[:, 0, 0] = True
    # Of two images that cannot be told apart the weights are averaged; each alone has its own.
    for doses, weight in (([1e-4], few), ([5e6], many), ([1e-4, 5e6], (few + many) / 2)):
        weights = particle_weights(config, torch.tensor(doses))
        share = learned(labels[: len(doses)], 1, weights)
        assert share == pytest.approx(weight * 0.2 / (weight * 0.2 + 0.8), abs=1e-4)
    assert particle_weights(TrainingConfig(steps=1), torch.tensor([1.0, 1e4])).tolist() == [1, 1]


def test_the_loss_is_one_number_for_each_image():
    logits, labels = torch.zeros(2, 1, 3, 4), torch.tensor([0, 1], dtype=torch.bool)[:, None, None].expand(2, 3, 4)
    assert loss_of(logits, labels, 3.0).tolist() == pytest.approx([0.6931, 3 * 0.6931], abs=1e-3)
    assert loss_of(logits, labels, torch.tensor([3.0, 2.0])).tolist() == pytest.approx([0.6931, 2 * 0.6931], abs=1e-3)
