"""The one training loop: cross entropy, ADAM with AMSGrad, resumable bit for bit."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from framedose.config import digest
from framedose.errors import TrainingError
from framedose.networks.config import NetworkConfig, UNetConfig
from framedose.networks.preprocess import normalise
from framedose.networks.registry import Network, build_network
from framedose.networks.unet import UNet
from framedose.networks.weights import LoadedNetwork
from framedose.networks.widen import widened
from framedose.progress import progress
from framedose.training.batches import Batch, Images, batches, validation_batches
from framedose.training.checkpoint import State
from framedose.training.config import TrainingConfig
from framedose.training.objective import PARTICLE, loss_of, particle_weights, scores_of
from framedose.training.processes import readers, start_fabric
from framedose.training.record import new_curves
from framedose.training.speed import choose_fastest, kept_from_vanishing, synchronise

Curves = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training left.

    Parameters
    ----------
    network
        The network: its running average or its best state, where these were asked for.
    curves
        ``step``, and at these steps ``train_loss`` and ``train_f1`` (means since the last entry), ``validation_loss``
        and ``validation_f1`` (means over images).
    steps
        Steps done.
    finished
        Whether it came to its own end, and not to that of ``max_minutes``.
    """

    network: Network
    curves: Curves
    steps: int
    finished: bool


def train(
    network_config: NetworkConfig,
    config: TrainingConfig,
    images: Images,
    validation: Images,
    *,
    seed: int,
    checkpoint: Path,
    label: str,
    start_from: LoadedNetwork | None = None,
    max_minutes: float | None = None,
    record: Callable[[Curves], None] | None = None,
) -> Trained:
    """Train a network, or go on from its checkpoint; the result is that of an uninterrupted training, bit for bit.

    Parameters
    ----------
    network_config, config
        What is trained, and how.
    images, validation
        Training and validation images.
    seed
        Seed of the weights, the order and all else that is drawn.
    checkpoint
        Where the state is kept; an existing one of the same configuration is continued.
    label
        Name in the progress bar.
    start_from
        Weights of the same network to start from, in place of drawn ones.
    max_minutes
        Stop after this time; the same call goes on from there.
    record
        Is given the curves after each validation.

    Raises
    ------
    TrainingError
        If the images do not suit the network, loss or gradient are not finite, the memory of the device does not
        suffice, or the checkpoint is damaged or another's; the last checkpoint is kept.
    ConfigurationError
        If the batch cannot be divided among processes.
    """
    fabric = start_fabric(config)
    run = _Run(fabric, network_config, config, images, validation, seed, start_from)
    if checkpoint.exists():
        run.state.load(checkpoint)
        fabric.barrier()
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    steps = progress(run, total=run.total, done=run.state.step, label=label) if fabric.is_global_zero else run
    try:
        for _ in steps:
            validated = run.validate_if_due()
            ended = run.ended or (deadline is not None and fabric.broadcast(time.monotonic() > deadline))
            if fabric.is_global_zero and (ended or run.state.step % config.checkpoint_every == 0):
                run.state.save(checkpoint)
            if validated and record is not None and fabric.is_global_zero:
                record(run.state.curves)
            if ended:
                break
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"The memory of {fabric.device} does not suffice for batches of {config.batch}: lower training.batch, or "
            f"train a smaller network. What was done is kept in {str(checkpoint)!r}."
        ) from error
    except FloatingPointError as error:
        raise TrainingError(
            f"{error} Lower learning_rate ({config.learning_rate}) or set clip; the state before is in "
            f"{str(checkpoint)!r}."
        ) from None
    fabric.barrier()
    curves = {name: values for name, values in run.state.curves.items() if name != "pending"}
    return Trained(run.result(), curves, run.state.step, run.ended)


class _Run:
    """A training in this process: iterating over it makes one step after the other."""

    def __init__(
        self,
        fabric: Fabric,
        network_config: NetworkConfig,
        config: TrainingConfig,
        images: Images,
        validation: Images,
        seed: int,
        start_from: LoadedNetwork | None,
    ) -> None:
        self._fabric, self._config, self._images, self._seed = fabric, config, images, seed
        self._window = network_config.normalise_window
        self.total = config.total_steps(images.fields)
        bare = build_network(network_config, seed=seed)
        _check(bare, network_config, images, validation)
        if start_from is not None:
            bare.load_state_dict(_started(start_from.network, network_config, seed).state_dict())
        optimizer = torch.optim.Adam(bare.parameters(), lr=config.learning_rate, amsgrad=True)
        self._network, self._optimizer = fabric.setup(bare, optimizer)
        modules: dict[str, nn.Module] = {"network": bare}
        if config.average is not None:
            averaging = get_ema_multi_avg_fn(config.average)  # type: ignore[no-untyped-call]
            modules["average"] = AveragedModel(bare, multi_avg_fn=averaging, use_buffers=True)
        if config.patience is not None:
            modules["best"] = copy.deepcopy(bare)
        first = None if start_from is None else start_from.metadata.weights_sha256
        made_from = [images.made_from, validation.made_from, seed, first]
        # A setting that came later does not stop what was begun before it.
        later = {"hardest": 1, "low_dose_weight": 1, "low_dose": 100}.items()
        asked = {name: value for name, value in config.model_dump().items() if (name, value) not in later}
        run = digest([network_config.model_dump(), asked, *made_from])
        self.state = State(modules, optimizer, run, 0, new_curves())
        part, parts = fabric.global_rank, fabric.world_size
        if isinstance(bare, UNet) and fabric.device.type == "cuda":
            choose_fastest(bare, self._example)
        self._held_out = validation_batches(validation, size=config.batch)[part::parts]
        self._count = validation.fields

    def _example(self) -> None:
        """Run the network forward and backward on noise."""
        device = self._fabric.device
        share = self._config.batch // self._fabric.world_size
        self._fabric.backward(self._network(torch.randn(share, 1, *self._images.size, device=device)).square().mean())
        synchronise(device)

    @property
    def ended(self) -> bool:
        """Whether all steps are done, or the validation loss has not come down for as long as it may."""
        losses, patience = self.state.curves["validation_loss"], self._config.patience
        stale = patience is not None and losses and len(losses) - 1 - losses.index(min(losses)) >= patience
        return bool(self.state.step >= self.total or stale)

    def __iter__(self) -> Iterator[int]:
        start, fabric = self.state.step, self._fabric
        part, parts = fabric.global_rank, fabric.world_size
        if self.ended:
            return
        self._network.train()
        stream = batches(
            self._images,
            self._config,
            seed=self._seed,
            start=start,
            stop=self.total,
            part=part,
            parts=parts,
            readers=readers(fabric.device),
        )
        for step, batch in enumerate(stream, start):
            for group in self._optimizer.param_groups:
                group["lr"] = self._config.rate(step, self.total)
            self._step(step, *self._hardest(batch), particle_weights(self._config, batch.doses))
            self.state.step = step + 1
            yield step

    @torch.no_grad()
    def _hardest(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return images and labels of a batch, each with the rival in its place that has more of a particle."""
        network, device = self.state.modules["network"], self._fabric.device
        images, labels = batch.images.to(device), batch.labels.to(device)
        network.eval()
        for place, rivals in batch.rivals.items():
            others, truths = (part.to(device) for part in rivals)
            drawn, truth = torch.cat([images[place, None], others]), torch.cat([labels[place, None], truths])
            with self._fabric.autocast():
                logits = torch.cat([network(normalise(image[None], self._window)).float() for image in drawn])
            # With one class, the loss of an image without a particle.
            hardest = F.softplus(_particle_logit(logits)).mean(dim=(1, 2)).argmax()
            images[place], labels[place] = drawn[hardest], truth[hardest]
        network.train()
        return images, labels

    def _step(self, step: int, images: Tensor, labels: Tensor, weights: Tensor) -> None:
        logits = self._network(normalise(images, self._window))
        logits.register_hook(kept_from_vanishing)
        loss = loss_of(logits, labels, weights).mean()
        both = torch.stack([loss.detach(), scores_of(logits, labels).mean()])
        value, score = self._fabric.all_reduce(both, reduce_op="mean").tolist()
        if not math.isfinite(value):
            raise FloatingPointError(f"The loss of step {step} is {value}.")
        self._optimizer.zero_grad()
        self._fabric.backward(loss)
        limit = math.inf if self._config.clip is None else self._config.clip
        norm = float(
            self._fabric.clip_gradients(  # type: ignore[arg-type]
                self._network, self._optimizer, max_norm=limit, error_if_nonfinite=False
            )
        )
        if not math.isfinite(norm):
            raise FloatingPointError(f"The gradient of step {step} is {norm}.")
        self._optimizer.step()
        if isinstance(average := self.state.modules.get("average"), AveragedModel):
            average.update_parameters(self.state.modules["network"])
        pending = self.state.curves["pending"]
        pending["loss"].append(value)
        pending["f1"].append(score)

    def validate_if_due(self) -> bool:
        """Validate every so many steps and at the end, add an entry to the curves, and return whether this was done."""
        step, curves = self.state.step, self.state.curves
        if step % self._config.validate_every and step < self.total:
            return False
        loss, score = self._validation()
        if "best" in self.state.modules and loss <= min(curves["validation_loss"], default=math.inf):
            self.state.modules["best"].load_state_dict(self._validated().state_dict())
        pending = curves["pending"]
        means = (sum(pending[name]) / len(pending[name]) for name in ("loss", "f1"))
        for name, value in zip(("train_loss", "train_f1"), means, strict=True):
            curves[name].append(value)
        for name, value in (("step", step), ("validation_loss", loss), ("validation_f1", score)):
            curves[name].append(value)
        curves["pending"] = new_curves()["pending"]
        return True

    def _validated(self) -> nn.Module:
        average = self.state.modules.get("average")
        return average.module if isinstance(average, AveragedModel) else self.state.modules["network"]

    @torch.no_grad()
    def _validation(self) -> tuple[float, float]:
        """Return the mean loss and F1 over the validation images, each process having looked at some of them."""
        network, device = self._validated(), self._fabric.device
        network.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=device)
        for images, labels, doses in self._held_out:
            with self._fabric.autocast():
                logits = network(normalise(images.to(device), self._window)).float()
            truth = labels.to(device)
            losses = loss_of(logits, truth, particle_weights(self._config, doses))
            for position, values in enumerate((losses, scores_of(logits, truth))):
                sums[position] += values.double().sum()
        network.train()
        loss, score = (self._fabric.all_reduce(sums, reduce_op="sum") / self._count).tolist()
        return loss, score

    def result(self) -> Network:
        """Return the network to be kept, on the CPU."""
        # Stopped before the first validation, there is no best yet.
        best = self.state.modules.get("best") if self.state.curves["validation_loss"] else None
        network = copy.deepcopy(best or self._validated()).cpu()
        network.eval()
        return network  # type: ignore[return-value]


def _particle_logit(logits: Tensor) -> Tensor:
    """Return the logarithm of the odds of particle, shape (n, y, x), of logits (n, classes, y, x)."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    others = [kind for kind in range(logits.shape[1]) if kind != PARTICLE]
    return logits[:, PARTICLE] - torch.logsumexp(logits[:, others], dim=1)


def _started(network: Network, config: NetworkConfig, seed: int) -> Network:
    """Return the network to start from, as wide as it is to be."""
    if isinstance(network, UNet) and isinstance(config, UNetConfig) and config.width > network.config.width:
        return widened(network, config.width, seed=seed)
    return network


def _check(network: Network, config: NetworkConfig, images: Images, validation: Images) -> None:
    """Refuse images that the network cannot be trained on."""
    for name, found in (("training", images), ("validation", validation)):
        if not found.fields:
            raise TrainingError(f"The {name} set is empty: make at least one structure.")
        if min(found.size) < network.minimum_size:
            raise TrainingError(
                f"The {name} images have {found.size[0]} x {found.size[1]} pixels, this {config.kind} needs at least "
                f"{network.minimum_size} each way: make larger images, or take a smaller kernel, "
                f"{'max_dilation' if config.kind == 'msdnet' else 'fewer poolings'}."
            )
