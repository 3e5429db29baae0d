"""What holds for every data set that lies in a folder, on its fixture."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.datasets import adapter, dataset_names, load

FIXTURES = Path(__file__).parents[2] / "fixtures"
NAMES = [name for name in dataset_names() if not adapter(name).generated]


@cache
def loaded(name):
    """Return the cohort of a data set's fixture, made once."""
    return load(name, FIXTURES / name)


@pytest.mark.parametrize("name", NAMES)
def test_data_check_reads_it_whole(name):
    result = CliRunner().invoke(main, ["data", "check", name, str(FIXTURES / name), "--allow-missing"])
    assert result.exit_code == 0, result.output
    cohort = loaded(name)
    assert f"read whole: {len(cohort)} of {len(cohort)} files" in result.output


@pytest.mark.parametrize("name", NAMES)
def test_no_image_is_opened_to_make_the_table(name, copied):
    root, whole = copied(name), loaded(name).table
    for path in whole["path"]:
        (root / path).write_bytes(b"no picture")
    assert whole.equals(load(name, root).table)


@pytest.mark.parametrize("name", NAMES)
def test_windows_and_its_byte_order_mark_change_nothing(name, copied):
    root, plain = copied(name), loaded(name)
    for path in root.rglob("*"):
        if path.suffix in (".csv", ".tsv", ".txt"):
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    marked = load(name, root)
    assert plain.table.equals(marked.table)
    assert plain.official_test == marked.official_test
    assert (plain.missing, plain.notes) == (marked.missing, marked.notes)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_that_went_through_pandas_as_floats_are_the_same(name, copied):
    root, plain = copied(name), loaded(name)
    for path in root.rglob("*"):
        if path.suffix not in (".csv", ".tsv", ".gz"):
            continue
        separator = "\t" if path.suffix == ".tsv" else ","
        # With a row that lacks them, as an outer join leaves it, pandas takes whole numbers for floats.
        table = pd.read_csv(path, sep=separator)
        table.reindex([*table.index, len(table)]).iloc[:-1].to_csv(path, sep=separator, index=False)
    floats = load(name, root)
    labels = list(plain.labels)
    assert plain.table[["patient_id", "path", "age", *labels]].equals(
        floats.table[["patient_id", "path", "age", *labels]]
    )
    assert (plain.missing, plain.unlisted, plain.left_out) == (
        floats.missing,
        floats.unlisted,
        floats.left_out,
    )
    assert plain.official_test == floats.official_test


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_out_and_what_stays_make_what_is_listed(name):
    cohort = loaded(name)
    assert cohort.listed == len(cohort) + sum(cohort.left_out.values())
    assert len(cohort.missing) == cohort.left_out.get("file missing", 0)
    assert cohort.table["patient_id"].map(type).eq(str).all()
    values = cohort.table[list(cohort.labels)].to_numpy(dtype=float)
    assert np.isin(values[~np.isnan(values)], (0.0, 1.0)).all()
    assert not set(cohort.unlisted) & set(cohort.table["path"])


@pytest.mark.parametrize("name", NAMES)
def test_its_patients_are_on_one_side_of_the_official_test(name):
    table = loaded(name).table
    tested = table["image_id"].isin(loaded(name).official_test)
    assert not set(table.loc[tested, "patient_id"]) & set(table.loc[~tested, "patient_id"])
