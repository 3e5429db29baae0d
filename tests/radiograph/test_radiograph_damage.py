"""Whatever happens to a file, reading it gives an image or one clear error."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrbench.errors import RadiographError
from cxrbench.radiograph import read, read_header, read_square

FIXTURES = Path(__file__).parents[2] / "fixtures"
FILES = (
    "rsna-pneumonia/stage_2_train_images/00000000-0000-4000-8000-000000000001.dcm",
    "manifest/films/p01-a.dcm",
    "manifest/films/p01-b.dcm",
    "covid-image-collection/images/c-alpha.png",
    "covid-image-collection/images/d-palette.png",
    "covid-image-collection/images/e-sixteen.png",
    "kermany/chest_xray/test/NORMAL/IM-9001-0001.jpeg",
)
damages = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6)


def outcome(function, path):
    try:
        function(path)
    except RadiographError as error:
        return "one line" if error.reason and "\n" not in str(error) else str(error)
    return "image"


@pytest.mark.parametrize("name", FILES)
def test_damaged_bytes_give_an_image_or_one_line(name, tmp_path):
    whole = (FIXTURES / name).read_bytes()
    path = tmp_path / Path(name).name

    @settings(max_examples=40, database=None)
    @given(damages, st.floats(0, 1))
    def damage(changes, kept):
        raw = bytearray(whole)
        for place, value in changes:
            raw[int(place * (len(raw) - 1))] = value
        path.write_bytes(raw[: max(1, int(2 * kept * len(raw)))])
        assert outcome(read, path) == outcome(lambda file: read_square(file, 8), path)
        assert outcome(read_header, path) in ("image", "one line")

    damage()
