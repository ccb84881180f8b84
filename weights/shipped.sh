#!/usr/bin/env bash
# Makes the networks that ship, from those of the preset laptop on: bash weights/shipped.sh FOLDER
#
# It takes many hours; docs/shipped.md has those of each training. Stopped, it goes on where it was, as every command
# does. A network goes on from the one before with the fields that were found missing in it.
set -euo pipefail
laptop=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?give the folder to work in}"
cd "$1"

once() { # FILE COMMAND...: the commands of "framedose weights" do not write over a file
    [ -e "$1" ] || "${@:2}" --out "$1"
}

leaning() { # FOLDER OPTIONS...: surfaces that lean, and second grains, without powders
    framedose simulate --preset general --specimen.powder_share 0 "${@:2}" --out "$1"
}

simulate() { # FOLDER OPTIONS...: surfaces along the beam, or plan views, without other grains
    leaning "$1" --specimen.lean.high 0 --specimen.grain_share 0 "${@:2}"
}

papers() { # FOLDER OPTIONS...: specimens of the paper's kind, at low dose too
    framedose simulate --preset laptop --conditions.dose.low 8 --conditions.dose.high 1e4 \
        --exit_wave.sampling 0.15 --exit_wave.band_limit 2.2 "${@:2}" --out "$1"
}

train() { # FOLDER KIND WEIGHTS DATASETS AND OPTIONS...
    framedose train "${@:4}" --preset general --network "$2" --start-from "$3" --out "$1"
}

# Particles beside a thin support.
profile=(--specimen.plan_view_share 0 --specimen.thickness.high 50)
# Of the first fields the networks saw the pixels as they are.
as_they_are=(--training.resample_to null)
milder=(--training.disturb.background 0.25 --training.disturb.coarse_share)
film=(--specimen.film.low 15 --specimen.film.high 80)
many=(--specimen.radius.low 6 --specimen.radius.high 40 --specimen.max_particles)
# One image in a step, so that none is cropped to the size of a smaller one.
singly=(--training.batch 1 "${milder[@]}" 0.25)

# Specimens that vary, then twinned particles and the paper's own kind, of which the MSD-net needs more.
simulate general --seed 3 "${profile[@]}" --specimen.twinned_share 0 --support_share 0.12
train unet unet "$laptop/unet-laptop.safetensors" general --network.normalise_window 165 "${as_they_are[@]}"
train msdnet msdnet "$laptop/msdnet-laptop.safetensors" general --network.normalise_window 165 "${as_they_are[@]}"
simulate twinned --seed 4 "${profile[@]}"
papers supported --seed 5 --structures 500 --validation_structures 60 --image_epochs 10 --support_share 0.2
papers supported2 --seed 6 --structures 900 --validation_structures 20 --image_epochs 8 --support_share 0.25
train msdnet-long msdnet msdnet/msdnet.safetensors twinned supported supported2 --training.batch 4 --training.steps 6000 \
    --training.learning_rate 1e-3 "${milder[@]}" 0.15 "${as_they_are[@]}"

# Every image at one pixel size from here on; particles on carbon, and more fields without any.
simulate carbon --seed 8 --structures 360 --validation_structures 40 --support_share 0.2 --vacuum_share 0.04 --specimen.free_share 1 \
    --specimen.film_share 1 --specimen.film.low 20 --specimen.film.high 90 --specimen.radius.low 8 --specimen.radius.high 38 --gpts 384 \
    --conditions.dose.low 50 --conditions.dose.high 1e4
simulate nulls --seed 7 --structures 60 --validation_structures 1 --vacuum_share 1 --support_share 1 "${profile[@]}"
train unet-sized unet unet/unet.safetensors twinned carbon supported supported2 nulls nulls --training.steps 7500 \
    --training.learning_rate 6e-4 "${milder[@]}" 0.2
train msdnet-sized msdnet msdnet-long/msdnet.safetensors twinned carbon supported supported2 nulls nulls --training.batch 4 \
    --training.steps 5600 --training.learning_rate 1e-3 "${milder[@]}" 0.2
papers bare --seed 9 --structures 130 --validation_structures 1 --image_epochs 12 --support_share 1 --vacuum_share 1 \
    --conditions.dose.low 100 --conditions.dose.high 3e4
train unet-bared unet unet-sized/unet.safetensors twinned carbon supported supported2 bare nulls nulls --training.steps 9000 \
    --training.learning_rate 6e-4 "${milder[@]}" 0.2
train msdnet-bared msdnet msdnet-sized/msdnet.safetensors twinned carbon supported supported2 bare nulls --training.batch 4 \
    --training.steps 1800 --training.learning_rate 5e-4 "${milder[@]}" 0.2

# Wide fields of up to ten particles.
simulate fields --seed 10 --structures 340 --validation_structures 30 --support_share 0.15 --vacuum_share 0.06 --specimen.free_share 0.5 \
    --specimen.film_share 0.5 "${film[@]}" "${many[@]}" 10 --gpts 640 "${profile[@]}"
mixed=(twinned carbon supported supported2 bare nulls nulls fields fields fields fields fields)
train unet-fields unet unet-bared/unet.safetensors "${mixed[@]}" "${singly[@]}" --training.steps 34000 \
    --training.learning_rate 3e-4
train msdnet-fields msdnet msdnet-bared/msdnet.safetensors "${mixed[@]}" "${singly[@]}" --training.steps 9600 \
    --training.learning_rate 5e-4

# Plan views, and supports up to 120 Å thick.
crystalline=(--vacuum_share 0 --specimen.free_share 0 --specimen.film_share 0.15 --specimen.radius.low 6 --specimen.radius.high 35
    --specimen.max_particles 6 --gpts 400 --specimen.plan_view_share)
simulate plates --seed 15 --structures 400 --validation_structures 40 --image_epochs 10 --support_share 0.3 \
    --specimen.thickness.low 20 --specimen.thickness.high 120 "${crystalline[@]}" 0.5
simulate fields2 --seed 12 --structures 150 --validation_structures 24 --support_share 0.2 --vacuum_share 0.1 --specimen.free_share 0.5 \
    --specimen.film_share 0.5 "${film[@]}" --specimen.thickness.low 20 --specimen.thickness.high 80 --specimen.plan_view_share 0.2 \
    "${many[@]}" 10 --gpts 640
papers supported3 --seed 11 --structures 400 --validation_structures 40 --image_epochs 10 --support_share 0.25 --vacuum_share 0.1
simulate nulls2 --seed 13 --structures 40 --validation_structures 1 --vacuum_share 1 --support_share 1 "${profile[@]}"
mixed=(fields2 fields2 fields2 plates supported3 nulls2)
train unet-plates unet unet-fields/unet.safetensors "${mixed[@]}" "${singly[@]}" --training.steps 18300 \
    --training.learning_rate 4e-4
train msdnet-plates msdnet msdnet-fields/msdnet.safetensors "${mixed[@]}" "${singly[@]}" --training.steps 4400 \
    --training.learning_rate 5e-4

# Other crystals as support, a microscope without a corrector, and far from focus.
oxide=("${crystalline[@]}" 0.4 --validation_structures 10)
simulate rutile --seed 17 --structures 70 --support_share 0.6 --specimen.support TiO2 --specimen.support_lattice_constant 4.66 "${oxide[@]}"
simulate magnesia --seed 18 --structures 50 --support_share 0.6 --specimen.support MgO "${oxide[@]}"
simulate zirconia --seed 20 --structures 50 --support_share 0.5 --specimen.support_lattice_constant 5.1 "${oxide[@]}"
simulate uncorrected --seed 16 --structures 120 --validation_structures 16 --support_share 0.35 --vacuum_share 0.06 \
    --exit_wave.energy 2e5 --conditions.cs.low 4e6 --conditions.cs.high 1.3e7 --conditions.defocus.low -300 \
    --conditions.defocus.high 1300 --conditions.focal_spread.low 20 --conditions.focal_spread.high 70 --margin 48 \
    --specimen.free_share 0.5 --specimen.film_share 0.7 "${film[@]}" --specimen.thickness.low 20 --specimen.thickness.high 80 \
    --specimen.plan_view_share 0.25 "${many[@]}" 8 --gpts 520
simulate defocused --seed 19 --structures 40 --validation_structures 10 --support_share 0.5 --vacuum_share 0 \
    --conditions.defocus.low -900 --conditions.defocus.high 900 --margin 48 --specimen.free_share 0.8 --specimen.film_share 0.8 \
    --specimen.film.low 15 --specimen.film.high 90 "${many[@]}" 8 --gpts 520
mixed=(fields2 fields2 fields2 plates supported3 nulls2 uncorrected uncorrected rutile magnesia defocused zirconia)
train unet-supports unet unet-plates/unet.safetensors "${mixed[@]}" "${singly[@]}" --training.steps 18000 \
    --training.learning_rate 4e-4 --training.validate_every 6000
train msdnet-supports msdnet msdnet-plates/msdnet.safetensors "${mixed[@]}" "${singly[@]}" --training.steps 4800 \
    --training.learning_rate 5e-4 --training.validate_every 1600

# From the mean of these and those before: particles of the paper's kind and size at the doses at which they come into
# sight, and two oxides more; in two mixtures.
once averaged.safetensors framedose weights average unet-plates/unet.safetensors unet-fields/unet.safetensors
once both.safetensors framedose weights average unet-supports/unet.safetensors unet-supports/unet.safetensors averaged.safetensors
simulate dim --seed 24 --structures 60 --validation_structures 8 --image_epochs 10 --support_share 0.25 --vacuum_share 0.15 \
    --specimen.free_share 0 --specimen.film_share 0 --specimen.on_zone_share 1 "${profile[@]}" --specimen.twinned_share 0.1 \
    --specimen.thickness.low 20 --specimen.radius.low 5 --specimen.radius.high 12 --specimen.radius.scale linear --specimen.max_particles 4 \
    --conditions.defocus.low -200 --conditions.defocus.high 200 --conditions.dose.low 8 --conditions.dose.high 2e3 --gpts 400
python3 - <<'CIF'
from ase.io import write
from ase.spacegroup import crystal

anatase = [(0, 0, 0), (0, 0, 0.208)]
write("anatase.cif", crystal(["Ti", "O"], anatase, spacegroup=141, cellpar=[3.785, 3.785, 9.514, 90, 90, 90]))
spinel = [3 * (0.125,), 3 * (0.5,), 3 * (0.2624,)]
write("spinel.cif", crystal(["Mg", "Al", "O"], spinel, spacegroup=227, setting=2, cellpar=3 * [8.083] + 3 * [90]))
CIF
more_oxides=(--structures 40 --validation_structures 8 --support_share 0.6 "${crystalline[@]}" 0.3)
simulate anatase --seed 30 --specimen.support anatase.cif --specimen.support_zone_axis "[1,0,0]" --specimen.support_plane "[0,0,1]" \
    "${more_oxides[@]}"
simulate spinel --seed 31 --specimen.support spinel.cif --specimen.support_zone_axis "[1,1,0]" --specimen.support_plane "[1,-1,1]" \
    "${more_oxides[@]}"
others=(nulls2 uncorrected uncorrected rutile magnesia defocused zirconia anatase anatase spinel spinel)
train unet-oxides unet both.safetensors fields2 fields2 fields2 plates plates supported3 dim dim dim dim "${others[@]}" "${singly[@]}" \
    --training.steps 15000 --training.learning_rate 4e-4 --training.validate_every 5000
train unet-dim unet both.safetensors fields2 fields2 plates plates supported3 supported3 dim dim dim dim dim dim "${others[@]}" \
    "${singly[@]}" --training.steps 14000 --training.learning_rate 4e-4 --training.validate_every 5000 --seed 1

# From the mean of these and the one before: surfaces that lean, and second grains.
once three.safetensors framedose weights average unet-oxides/unet.safetensors unet-dim/unet.safetensors both.safetensors
# Not "crystalline": a few fields are vacuum.
sloping=(--image_epochs 10 --support_share 0.3 --vacuum_share 0.03 --specimen.free_share 0 --specimen.film_share 0.15
    --specimen.plan_view_share 0 --specimen.radius.low 6 --specimen.radius.high 35 --specimen.max_particles 6 --gpts 400)
leaning wedges --seed 32 --structures 320 --validation_structures 24 "${sloping[@]}" \
    --specimen.thickness.low 20 --specimen.thickness.high 140 --specimen.lean.high 50 --specimen.grain_share 0.4
train unet-leaning unet three.safetensors fields2 fields2 plates supported3 dim dim nulls2 uncorrected uncorrected rutile magnesia \
    defocused zirconia anatase spinel wedges wedges "${singly[@]}" --training.steps 20000 --training.learning_rate 4e-4 \
    --training.validate_every 5000 --seed 2

# From the mean of that and those before: supports up to 220 Å thick, whose surface leans a little.
once four.safetensors framedose weights average three.safetensors unet-leaning/unet.safetensors
leaning deep --seed 33 --structures 210 --validation_structures 16 "${sloping[@]}" \
    --specimen.thickness.low 60 --specimen.thickness.high 220 --specimen.lean.high 25 --specimen.grain_share 0.25
train unet-deep unet four.safetensors fields2 fields2 plates supported3 dim dim nulls2 uncorrected rutile magnesia defocused zirconia \
    anatase spinel wedges wedges deep deep deep "${singly[@]}" --training.steps 24000 --training.learning_rate 4e-4 \
    --training.validate_every 6000 --seed 3

# From the mean of that and the one before: whole crystals, one or a heap of them, and parts of the images in the dark.
once five.safetensors framedose weights average four.safetensors unet-deep/unet.safetensors
heap() { # FOLDER OPTIONS...: nothing but whole crystals as support
    simulate "$1" --specimen.powder_share 1 --specimen.on_zone_share 0.4 --validation_structures 1 "${sloping[@]}" "${@:2}"
}
heap crystals --seed 60 --structures 110 --specimen.max_crystallites 1
heap heaps --seed 66 --structures 90
train unet-crystals unet five.safetensors fields2 fields2 supported3 dim nulls2 uncorrected rutile wedges deep plates crystals crystals \
    heaps "${singly[@]}" --training.disturb.dark_share 0.05 --training.steps 11000 --training.learning_rate 3e-4 \
    --training.validate_every 5500 --seed 4

# From the mean of that and the one before: of fields without a particle the hardest of several, and more bare supports.
once crystals.safetensors framedose weights average five.safetensors unet-crystals/unet.safetensors
papers bare2 --seed 90 --structures 120 --validation_structures 1 --image_epochs 8 --support_share 1 --vacuum_share 0.5 \
    --conditions.dose.high 3e4
leaning bare3 --seed 91 --structures 60 --validation_structures 1 --image_epochs 8 --support_share 1 --vacuum_share 1 --gpts 400 \
    --specimen.free_share 0 --specimen.film_share 0.15 --specimen.plan_view_share 0.15 --specimen.thickness.low 10 \
    --specimen.thickness.high 140 --specimen.lean.high 40 --specimen.grain_share 0.2
hardest=("${singly[@]}" --training.disturb.dark_share 0.08 --training.hardest 6 --training.learning_rate 3e-4)
mixed=(fields2 fields2 fields2 supported3 dim dim nulls2 uncorrected rutile wedges wedges crystals crystals heaps bare2 bare3)
train unet-hardest unet crystals.safetensors "${mixed[@]}" "${hardest[@]}" --training.steps 6500 --seed 5
once msdnet-both.safetensors framedose weights average msdnet-supports/msdnet.safetensors msdnet-fields/msdnet.safetensors
train msdnet-hardest msdnet msdnet-both.safetensors "${mixed[@]}" plates plates deep "${singly[@]}" --training.disturb.dark_share 0.08 \
    --training.hardest 4 --training.learning_rate 4.5e-4 --training.steps 4200 --training.validate_every 1000 --seed 7

# Plan views and thick supports again, from two seeds.
for seed in 7 8; do
    train "unet-hardest-$seed" unet unet-hardest/unet.safetensors "${mixed[@]}" plates plates deep deep "${hardest[@]}" \
        --training.steps 10000 --training.validate_every 5000 --seed "$seed"
done

# From the mean of these and the one before, particles count more where electrons are few: with particles on carbon and
# bare films of it, from three seeds, the third with more fields of few electrons, near half of them bare supports.
once negatives.safetensors framedose weights average unet-hardest-7/unet.safetensors unet-hardest-8/unet.safetensors \
    unet-hardest/unet.safetensors
simulate carbon2 --seed 95 --structures 100 --validation_structures 2 --image_epochs 10 --support_share 0.4 --vacuum_share 0.03 \
    --specimen.free_share 1 --specimen.film_share 1 --specimen.film.low 20 --specimen.film.high 110 --specimen.radius.low 8 \
    --specimen.radius.high 38 --specimen.max_particles 6 --gpts 400 \
    --conditions.defocus.low -400 --conditions.defocus.high 400 --conditions.dose.low 50 --conditions.dose.high 1e4
papers bare4 --seed 96 --structures 100 --validation_structures 1 --image_epochs 1 --support_share 1 --vacuum_share 0.3 \
    --conditions.dose.high 60
dosed=("${hardest[@]}" --training.low_dose_weight 5)
mixed=(fields2 fields2 fields2 supported3 dim dim nulls2 uncorrected rutile wedges plates plates deep crystals heaps carbon2 carbon2
    bare2 bare3)
for seed in 9 10; do
    train "unet-dosed-$seed" unet negatives.safetensors "${mixed[@]}" "${dosed[@]}" --training.steps 8000 --training.validate_every 4000 \
        --seed "$seed"
done
train unet-dosed-11 unet negatives.safetensors "${mixed[@]}" bare4 "${dosed[@]}" --training.steps 7000 --training.validate_every 3500 \
    --seed 11

# What ships: means of these and those before.
once unet-mean.safetensors framedose weights average unet-dosed-9/unet.safetensors unet-dosed-10/unet.safetensors \
    unet-dosed-11/unet.safetensors
once one.safetensors framedose weights turn unet-mean.safetensors fields2 --turns 1
once unet.safetensors framedose weights sharpen one.safetensors fields2 --half 0.5 --nine-tenths 0.66
once turned.safetensors framedose weights turn unet-mean.safetensors fields2 --turns 2
once best.safetensors framedose weights sharpen turned.safetensors fields2 --half 0.32 --nine-tenths 0.38
# The MSD-net lost more by the hardest fields than it gained: they count a third.
once msdnet-mean.safetensors framedose weights average msdnet-both.safetensors msdnet-both.safetensors msdnet-hardest/msdnet.safetensors
once msdnet-turned.safetensors framedose weights turn msdnet-mean.safetensors fields2 --turns 2
once msdnet.safetensors framedose weights sharpen msdnet-turned.safetensors fields2 --half 0.42 --nine-tenths 0.5
