"""How fast are films of real size read? Where it is installed, next to torchxrayvision's own reading.

All figures are for one core: processor time, which other work on the machine does not lengthen.
"""

from __future__ import annotations

import importlib.util
import time

import pytest

SIDE = 224
"""Pixels, of the square that both make."""

FASTER = 1.5
"""Times torchxrayvision's own reading, at least."""

FORMS = ("PNG", "JPEG", "DICOM native", "DICOM JPEG Lossless", "DICOM JPEG 2000")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Return form -> path: 1,024 px of 8 bits as PNG and JPEG, 2,500 px of 12 bits as DICOM."""
    import imagecodecs
    import numpy as np
    from PIL import Image
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import (
        DigitalXRayImageStorageForPresentation,
        ExplicitVRLittleEndian,
        JPEG2000Lossless,
        JPEGLosslessSV1,
    )

    folder = tmp_path_factory.mktemp("films")

    def film(side, top):
        down, across = np.mgrid[:side, :side] / side
        body = 0.45 + 0.25 * np.sin(5 * across) * np.cos(4 * down) + 0.08 * np.sin(60 * across)
        noise = np.random.default_rng(0).normal(0, 0.01, (side, side))
        return np.clip((body + noise) * top, 0, top)

    def dicom(path, values, syntax, pixels):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
        dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        dataset.SOPClassUID, dataset.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
        dataset.Rows, dataset.Columns = values.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
            16,
            12,
            11,
            0,
        )
        dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
        dataset.PixelData = pixels
        dataset["PixelData"].VR = "OW" if syntax == ExplicitVRLittleEndian else "OB"
        dataset.save_as(path, enforce_file_format=True)

    paths = {form: folder / f"{form.lower().replace(' ', '-')}.{form[:5].strip().lower()}" for form in FORMS}
    small = Image.fromarray(film(1024, 255).astype(np.uint8))
    small.save(paths["PNG"], "PNG")
    small.save(paths["JPEG"], "JPEG", quality=92)
    large = film(2500, 4095).astype(np.uint16)
    lossless = imagecodecs.jpeg8_encode(large, lossless=True, bitspersample=12)
    wavelets = imagecodecs.jpeg2k_encode(large, level=0, codecformat="j2k", reversible=True, bitspersample=12)
    dicom(paths["DICOM native"], large, ExplicitVRLittleEndian, large.tobytes())
    dicom(paths["DICOM JPEG Lossless"], large, JPEGLosslessSV1, encapsulate([lossless]))
    dicom(paths["DICOM JPEG 2000"], large, JPEG2000Lossless, encapsulate([wavelets]))
    return paths


def seconds(function, rounds):
    """Return the processor time of one call: the least of several, after one that is not counted."""
    function()
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.parametrize("form", FORMS)
def test_reading_a_film_of_real_size(form, films, timed):
    from cxrbench.radiograph import read_square

    image = timed(lambda: read_square(films[form], SIDE), images=1, rounds=3, form=form)
    assert image.shape == (SIDE, SIDE)
    assert image.std() > 20


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.skipif(
    importlib.util.find_spec("torchxrayvision") is None, reason="torchxrayvision, the peer, is not installed"
)
def test_reading_is_faster_than_torchxrayvisions(form, films, record_property):
    """As its data sets read: scikit-image or pydicom, its centre crop, its resizing."""
    import pydicom
    from skimage.io import imread
    from torchxrayvision.datasets import XRayCenterCrop, XRayResizer, normalize

    from cxrbench.radiograph import read_square

    crop, resize = XRayCenterCrop(), XRayResizer(SIDE)

    def theirs():
        if form.startswith("DICOM"):
            stored, largest = pydicom.dcmread(films[form]).pixel_array, 4095
        else:
            stored, largest = imread(films[form]), 255
        return resize(crop(normalize(stored, maxval=largest, reshape=True)))

    ours = seconds(lambda: read_square(films[form], SIDE), rounds=3)
    peer = seconds(theirs, rounds=2)
    record_property("what", f"reading {form}, one core, torchxrayvision")
    record_property("images_per_second", 1 / ours)
    record_property("peer_images_per_second", 1 / peer)
    record_property("times_the_peer", peer / ours)
    assert peer >= FASTER * ours
