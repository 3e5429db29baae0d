"""Films of real size for the speed of reading, and torchxrayvision's way to read them."""

from __future__ import annotations

# What decodes is imported where it is used, so that collecting the benchmarks takes no time.

FORMS = ("PNG", "JPEG", "DICOM native", "DICOM JPEG Lossless", "DICOM JPEG 2000")
"""1,024 px of 8 bits as PNG and JPEG, 2,500 px of 12 bits as DICOM."""

SIDE = 224
"""Pixels, of the square that both make."""


def write_films(folder):
    """Return form -> the path of a film of that form, written into ``folder``."""
    import imagecodecs
    import numpy as np
    from PIL import Image
    from pydicom.encaps import encapsulate
    from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1

    paths = {form: folder / f"{form.lower().replace(' ', '-')}.{form[:5].strip().lower()}" for form in FORMS}
    small = Image.fromarray(_film(1024, 255).astype(np.uint8))
    small.save(paths["PNG"], "PNG")
    small.save(paths["JPEG"], "JPEG", quality=92)
    large = _film(2500, 4095).astype(np.uint16)
    lossless = imagecodecs.jpeg8_encode(large, lossless=True, bitspersample=12)
    wavelets = imagecodecs.jpeg2k_encode(large, level=0, codecformat="j2k", reversible=True, bitspersample=12)
    _dicom(paths["DICOM native"], large, ExplicitVRLittleEndian, large.tobytes())
    _dicom(paths["DICOM JPEG Lossless"], large, JPEGLosslessSV1, encapsulate([lossless]))
    _dicom(paths["DICOM JPEG 2000"], large, JPEG2000Lossless, encapsulate([wavelets]))
    return paths


def peer_read(form, path):
    """Return a film as torchxrayvision's data sets read it: scikit-image or pydicom, its crop and resizing.

    Its classes take 8 bits only; of the DICOM films all 12 bits are given to the same functions.
    """
    import pydicom
    from skimage.io import imread
    from torchxrayvision.datasets import XRayCenterCrop, XRayResizer, normalize

    if form.startswith("DICOM"):
        stored, largest = pydicom.dcmread(path).pixel_array, 4095
    else:
        stored, largest = imread(path), 255
    return XRayResizer(SIDE)(XRayCenterCrop()(normalize(stored, maxval=largest, reshape=True)))


def _film(side, top):
    import numpy as np

    down, across = np.mgrid[:side, :side] / side
    body = 0.45 + 0.25 * np.sin(5 * across) * np.cos(4 * down) + 0.08 * np.sin(60 * across)
    noise = np.random.default_rng(0).normal(0, 0.01, (side, side))
    return np.clip((body + noise) * top, 0, top)


def _dicom(path, values, syntax, pixels):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PixelData = pixels
    dataset["PixelData"].VR = "OW" if syntax == ExplicitVRLittleEndian else "OB"
    dataset.save_as(path, enforce_file_format=True)
