"""The warning filters while files are read side by side, and afterwards."""

import threading
import warnings

import pytest

from cxrbench.radiograph.quiet import quiet_libraries


def warn_as(module):
    warnings.warn_explicit("odd value", UserWarning, "file.py", 1, module=module)


def test_warnings_of_the_image_libraries_are_silent_inside_and_heard_outside():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_libraries():
            warn_as("pydicom.valuerep")
            warn_as("PIL.Image")
        with pytest.raises(UserWarning, match="odd value"):
            warn_as("pydicom.valuerep")


@pytest.mark.parametrize("module", ["cxrbench.training.loop", "pydicomish", "numpy"])
def test_warnings_of_others_are_heard_inside_too(module):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_libraries(), pytest.raises(UserWarning, match="odd value"):
            warn_as(module)


def test_readers_that_overlap_leave_the_filters_as_they_were():
    before = list(warnings.filters)
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def second_reader():
        with quiet_libraries():
            entered.set()
            leave.wait(10)
        left.set()

    thread = threading.Thread(target=second_reader)
    with quiet_libraries():
        thread.start()
        assert entered.wait(10)
    # The first reader has left while the second still reads.
    assert list(warnings.filters) != before
    warn_as("pydicom.valuerep")
    leave.set()
    assert left.wait(10)
    thread.join()
    assert list(warnings.filters) == before


def test_filters_come_back_after_an_error():
    before = list(warnings.filters)
    with pytest.raises(ValueError, match="broken"), quiet_libraries():
        raise ValueError("broken")
    assert list(warnings.filters) == before
