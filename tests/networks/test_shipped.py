"""The weights that ship, on specimens that no training set holds."""

import json
from importlib.resources import files

import numpy as np
import pytest

from framedose.config import merged
from framedose.dataset.recipe import DatasetRecipe, Split, make_kinds
from framedose.dataset.render import make_specimen, render, render_field
from framedose.files import summed
from framedose.inference.segment import segment
from framedose.metrics import overlap
from framedose.micrograph import Micrograph
from framedose.microscope.exit_wave import exit_wave
from framedose.networks.weights import SHIPPED
from framedose.study.config import study_config
from framedose.study.predictors import load_predictor

DOSES = (30.0, 1e4)
UNSEEN = Split("shipped weights", make_kinds(4, 0, 0), len(DOSES), DOSES)


def profile_recipe():
    """Return the recipe of particles on zone, in profile."""
    on_zone = {"on_zone_share": 1.0, "free_share": 0.0, "film_share": 0.0, "max_particles": 1}
    in_profile = {
        "plan_view_share": 0.0,
        "thickness": {"high": 50.0},
        "lean": {"high": 0.0},
        "grain_share": 0.0,
        "powder_share": 0.0,
    }
    general = study_config("general").dataset.model_dump()
    return DatasetRecipe.model_validate(merged(general, {"specimen": on_zone | in_profile}))


@pytest.fixture(scope="module")
def frames():
    """Frames (structure, dose, y, x), masks, vacuum, and the sizes of pixels."""
    recipe = profile_recipe()
    images, masks = [], []
    for index in range(4):
        specimen = make_specimen(recipe, 77, UNSEEN, index)
        wave = exit_wave(specimen.atoms, recipe.exit_wave)
        pairs = [render(recipe, 77, UNSEEN, index, image, wave, specimen.hulls) for image in range(len(DOSES))]
        images.append(np.stack([image for image, _ in pairs]))
        masks.append(pairs[0][1])
    vacuum = [render(recipe, 77, UNSEEN, 90 + i, 1, None, [])[0] for i in range(24)]
    sizes = [UNSEEN.sampling(recipe, 77, i, 1) for i in (*range(4), *range(90, 114))]
    return np.stack(images).astype(np.float32), np.stack(masks), np.stack(vacuum).astype(np.float32), np.array(sizes)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_networks_see_particles_at_high_dose_and_nothing_in_vacuum(name, frames):
    images, masks, vacuum, sizes = frames
    predict = load_predictor(name).predict
    found = [predict(images[:, dose], sizes[:4]) >= 0.5 for dose in range(len(DOSES))]
    scores = [[overlap(one, mask).f1 for one, mask in zip(of, masks, strict=True)] for of in found]
    nothing = predict(vacuum, sizes[4:])
    assert np.mean(scores[1]) > 0.85
    assert np.mean(scores[1]) > np.mean(scores[0])
    assert (nothing >= 0.9).mean() < 0.001
    assert (nothing >= 0.5).mean() < 0.005


# At 0.9, and so few electrons, ``best`` draws more than the particle.
@pytest.mark.parametrize(("name", "threshold"), [("best", 0.999), ("unet", 0.9)])
def test_the_sum_of_frames_shows_what_none_of_them_does(name, threshold):
    recipe, count = profile_recipe(), 40
    series = Split("shipped series", make_kinds(2, 0, 0), count, (4.0,) * count)
    for index in range(2):
        specimen = make_specimen(recipe, 77, series, index)
        wave, size = exit_wave(specimen.atoms, recipe.exit_wave), series.sampling(recipe, 77, index, 0)
        pairs = render_field(recipe, 77, series, index, range(count), wave, specimen.hulls)
        images, masks = zip(*pairs, strict=True)
        dark = [
            Micrograph(image.astype(np.float32), size, dose_per_area=4.0, frame=i) for i, image in enumerate(images)
        ]
        total = summed(dark)
        found = [segment(one, name, threshold=threshold, rim=0).mask for one in (dark[0], total)]
        alone, together = (overlap(mask, masks[0]).f1 for mask in found)
        assert total.dose_per_area == pytest.approx(160)
        assert alone < 0.2
        assert together > 0.9


def test_an_x_ray_changes_nothing_but_its_own_pixel(frames):
    images, masks, _, sizes = frames
    for image, mask, size in zip(images[:2, 1], masks, sizes, strict=False):
        hit = image.copy()
        hit[5, 9] += 1e4 * image.std()
        before, after = (segment(one, "best", sampling=size, rim=0).mask for one in (image, hit))
        assert overlap(before, mask).f1 > 0.8
        assert (before != after).sum() <= 20
        assert before.sum() > 1000


def test_shipped_weights_say_what_made_them_and_are_small():
    folder = files("framedose.networks") / "shipped"
    for name in SHIPPED:
        card = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        assert {"training", "steps", "dataset", "dataset_seed", "seed", "images", "versions", "curves"} <= set(
            card["provenance"]
        )
    assert sum(len((folder / f"{name}.safetensors").read_bytes()) for name in SHIPPED) < 5e6
