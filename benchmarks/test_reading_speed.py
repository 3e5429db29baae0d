"""How fast are films of real size read? Where it is installed, next to torchxrayvision's own reading.

All figures are for one core: processor time, which other work on the machine does not lengthen.
"""

from __future__ import annotations

import importlib.util
import time

import pytest
from films import FORMS, SIDE, peer_read, write_films

FASTER = 1.5
"""Times torchxrayvision's own reading, at least."""


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Return form -> path: 1,024 px of 8 bits as PNG and JPEG, 2,500 px of 12 bits as DICOM."""
    return write_films(tmp_path_factory.mktemp("films"))


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
    from cxrbench.radiograph import read_square

    ours = seconds(lambda: read_square(films[form], SIDE), rounds=3)
    peer = seconds(lambda: peer_read(form, films[form]), rounds=2)
    record_property("what", f"reading {form}, one core, torchxrayvision")
    record_property("images_per_second", 1 / ours)
    record_property("peer_images_per_second", 1 / peer)
    record_property("times_the_peer", peer / ours)
    assert peer >= FASTER * ours
