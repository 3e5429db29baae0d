"""``cxrbench predict``: score new images with a trained network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from cxrbench.commands._errors import UserError, user_errors
from cxrbench.commands._paths import PLACE
from cxrbench.commands._predictions import echo_json
from cxrbench.commands._trained import Which, trained_options


@click.command("predict")
@trained_options
@click.argument("images", type=PLACE)
@click.option("--out", type=PLACE, required=True, help="The prediction file (CSV).")
@click.option(
    "--on-bad",
    type=click.Choice(["stop", "leave-out"]),
    default="stop",
    show_default=True,
    help="Where files cannot be read: write nothing, or the scores of the others.",
)
@click.option(
    "--ids",
    type=click.Choice(["hashed", "plain"]),
    default="hashed",
    show_default=True,
    help="Write keyed hashes for image and patient ids (key: CXRBENCH_PATIENT_KEY), or the ids.",
)
@click.option("--links", is_flag=True, help="Allow links that lead out of the folder.")
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    help="Pixels of the largest picture that is decoded.  [default: the study's]",
)
@click.option("--gpu", is_flag=True, help="Predict on the GPU; fails where CUDA is missing.")
@click.option("--json", "as_json", is_flag=True, help="Say in JSON what was done.")
@user_errors
def command(
    which: Which,
    images: Path,
    out: Path,
    on_bad: str,
    ids: str,
    links: bool,
    max_pixels: int | None,
    gpu: bool,
    as_json: bool,
) -> None:
    """Score IMAGES with a network of TRAINED, and write a prediction file.

    TRAINED is a study's folder, or that of one of its stages. IMAGES is a folder of DICOM, PNG or JPEG files,
    one such file, or a CSV file with a column path (and if you like image_id, patient_id and the label).

    Where ids are hashed, private/OUT says whose each hash is. What could not be read is listed on standard
    error.
    """
    from cxrbench.report.text import decimal, interval
    from cxrbench.study.privacy import FOLDER, VARIABLE, hash_ids, key_of_variable
    from cxrbench.study.progress import Bars
    from cxrbench.text import one_line, plural
    from cxrbench.training.device import choose_device
    from cxrbench.use.images import new_images
    from cxrbench.use.predict import score, write_scores

    device = choose_device(gpu)
    found = which.find()
    new = new_images(images, found.label, links=links, max_pixels=max_pixels or found.max_pixels)
    cohort = new.cohort
    paths = dict(zip(cohort.table["image_id"], cohort.table["path"].map(one_line), strict=True))
    if not out.parent.is_dir():
        raise UserError(f"{out.parent} is not a folder; make it, or name another --out")
    key = key_of_variable() if ids == "hashed" else None
    if ids == "hashed" and key is None:
        raise UserError(
            f"the ids of your images are written as keyed hashes: set {VARIABLE} to a secret of yours (keep "
            "it, to compare with later files), or give --ids plain"
        )
    with Bars().task("reading", len(cohort)) as step:
        scored = score(found, cohort, device, out.parent, step)
    for bad in scored.refused:
        click.echo(f"cannot be read: {paths[bad.image_id]}: {bad.reason}", err=True)
    if scored.refused and on_bad == "stop":
        raise UserError(
            f"{plural(len(scored.refused), 'image')} of {len(cohort):,} cannot be read, and nothing is "
            "written; repair or remove them, or give --on-bad leave-out"
        )
    written = cohort if key is None else hash_ids(cohort, key, out.parent / FOLDER / out.name)
    ids_of = written.table.set_axis(cohort.table["image_id"])[["image_id", "patient_id"]]
    write_scores(out, scored, found.label, ids_of, patients=new.patients)
    chosen = found.study.chosen if found.study else ""
    # In a cross-validation the AUC is that of all folds' networks.
    curve = found.study.seed.curve if found.study and not found.study.fold else None
    known = scored.table[found.label].notna()
    if as_json:
        echo_json(
            {
                "network": str(found),
                "chosen": chosen or None,
                "stage": found.folder.key,
                "synthetic": found.synthetic,
                "label": found.label,
                "test_auc": None if curve is None else asdict(curve),
                "predictions": str(out),
                "images": len(scored.table),
                "labelled": int(known.sum()),
                "temperature": found.temperature.temperature if found.temperature else None,
                "refused": [
                    {"image_id": ids_of.at[bad.image_id, "image_id"], "reason": bad.reason}
                    for bad in scored.refused
                ],
                "odd_pictures": [
                    {"image_id": ids_of.at[image, "image_id"], "faults": list(faults)}
                    for image, faults in scored.odd.items()
                ],
                "other_files": len(new.others),
                "seconds": scored.seconds,
                "notes": list(found.notes),
            }
        )
        return
    click.echo(f"{found}" + (f": the {chosen}" if chosen else ""))
    if curve:
        click.echo(f"test AUC in its study: {decimal(curve.auc)} {interval(curve.ci_low, curve.ci_high)}")
    if found.synthetic:
        click.echo("It was trained on synthetic radiographs: its score of a film means nothing.", err=True)
    for note in found.notes:
        click.echo(f"note: {note}; scores may differ from the study's")
    for image, faults in scored.odd.items():
        click.echo(f"may not be a radiograph: {paths[image]}: {', '.join(faults)}", err=True)
    if new.others:
        click.echo(f"{plural(len(new.others), 'other file')} in {images}: no images, not read")
    calibrated = "" if found.temperature else "; no temperature was fitted, so nothing is calibrated"
    click.echo(f"{out}: {plural(len(scored.table), 'image')} scored for {found.label}{calibrated}")
