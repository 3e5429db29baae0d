"""Whatever an error quotes, a person reads one line, also where it comes through from another process."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from cxrbench.errors import CxrbenchError, DatasetError, RadiographError


@given(st.text())
def test_an_error_is_one_line_of_printable_characters(quoted):
    for error in (DatasetError(f"a.csv: {quoted}; mend it"), RadiographError("a.dcm", f"{quoted}; mend it")):
        said = str(error)
        assert said.isprintable()
        assert said.endswith("; mend it")
        assert str(pickle.loads(pickle.dumps(error))) == said


def test_a_message_without_odd_characters_is_kept():
    assert str(CxrbenchError("a.csv: line 3: no label")) == "a.csv: line 3: no label"
