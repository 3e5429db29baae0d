"""Numbers in options are those that a person reads."""

from __future__ import annotations

import click
import pytest

from cxrbench.commands import compare, evaluate, gate, power
from cxrbench.commands._numbers import number


@pytest.mark.parametrize("text", ["0_05", "٠.٥", "１", "0x1", "1,5", "", "five"])
def test_what_is_no_number_to_a_person_is_refused(text):
    with pytest.raises(click.BadParameter, match="is not a number"):
        number(text)


@pytest.mark.parametrize(("text", "value"), [("0.05", 0.05), (" -1e-3", -0.001), (".5", 0.5), (0.95, 0.95)])
def test_what_is_a_number_is_read(text, value):
    assert number(text) == value


def test_every_option_of_these_commands_with_a_number_reads_it_so():
    for module in (compare, evaluate, gate, power):
        for option in module.command.params:
            assert option.type not in (click.FLOAT, click.INT), (module.__name__, option.name)
