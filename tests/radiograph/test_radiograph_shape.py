"""Height and width as a file's header says, before anything is decoded."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from cxrbench.errors import RadiographError
from cxrbench.radiograph import read_shape


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures(tmp_path, suffix):
    path = tmp_path / f"film.{suffix}"
    Image.fromarray(np.zeros((40, 60), dtype=np.uint8)).save(path)
    assert read_shape(path) == (40, 60)


def test_dicom(tmp_path):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = 70, 50
    dataset.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    assert read_shape(tmp_path / "film.dcm") == (70, 50)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nnothing", b"\0" * 128 + b"DICM" + b"\0" * 30])
def test_a_header_that_gives_no_size_is_refused(tmp_path, content):
    path = tmp_path / "film"
    path.write_bytes(content)
    with pytest.raises(RadiographError):
        read_shape(path)
