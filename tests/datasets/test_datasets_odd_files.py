"""Pipes, links to nothing and names that nobody expects, in the folder of every data set."""

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.datasets import adapter, dataset_names, load
from cxrbench.errors import DatasetError

FIXTURES = Path(__file__).parents[2] / "fixtures"
NAMES = [name for name in dataset_names() if not adapter(name).generated]
TABLES = (".csv", ".tsv", ".txt", ".json", ".xml", ".gz")
ODD = {
    "pipe": os.mkfifo if hasattr(os, "mkfifo") else None,
    "folder": Path.mkdir,
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "device": lambda path: path.symlink_to("/dev/zero"),
}
pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and links of POSIX")


def check(name, root):
    """Return what `data check` ends with; whatever happens, it says so in lines of its own."""
    done = CliRunner().invoke(main, ["data", "check", name, str(root), "--allow-missing"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert all(line.startswith("Error: ") for line in done.stderr.splitlines())
    return done


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ODD)
def test_a_table_that_is_none_is_refused_and_not_taken_as_absent(name, kind, copied):
    root = copied(name)
    tables = [path for path in root.rglob("*") if path.suffix in TABLES]
    for path in (path for path in tables if len(path.relative_to(root).parts) <= 3):
        kept = path.read_bytes()
        path.unlink()
        ODD[kind](path)
        with pytest.raises(DatasetError) as caught:
            load(name, root)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        path.rmdir() if kind == "folder" else path.unlink()
        path.write_bytes(kept)
    load(name, root)


@pytest.mark.parametrize("kind", ODD)
def test_what_lies_next_to_a_film_of_bimcv_and_is_no_file_is_refused(kind, copied):
    root = copied("bimcv-covid19")
    film = root / load("bimcv-covid19", root).table["path"][0]
    film.with_suffix(".json").unlink(missing_ok=True)
    ODD[kind](film.with_suffix(".json"))
    with pytest.raises(DatasetError, match="cannot be read: ") as caught:
        load("bimcv-covid19", root)
    assert str(film.with_suffix(".json")) in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["pipe", "link to itself", "device"])
def test_a_film_that_is_none_is_refused_by_name(name, kind, copied):
    root = copied(name)
    path = load(name, root).table["path"][0]
    (root / path).unlink()
    ODD[kind](root / path)
    done = check(name, root)
    assert done.exit_code == 2
    assert done.stderr == f"Error: {root}: {path} is not a regular file\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_film_that_is_a_link_to_nothing_is_named(name, copied):
    root = copied(name)
    path = load(name, root).table["path"][0]
    (root / path).unlink()
    (root / path).symlink_to("nothing")
    done = check(name, root)
    assert done.exit_code == 1
    assert done.stderr == f"Error: {path}: no such file\n"


@pytest.mark.parametrize("name", ["kermany", "nlm-tuberculosis"])
@pytest.mark.parametrize("kind", ["pipe", "link to nothing", "link to itself"])
def test_what_is_in_the_place_of_a_folder_of_films_is_refused(name, kind, copied):
    root = copied(name)
    folder = root / Path(load(name, root).table["path"][0]).parent
    shutil.rmtree(folder)
    ODD[kind](folder)
    with pytest.raises(DatasetError, match="is not a folder, or a link to nothing") as caught:
        load(name, root)
    assert str(folder) in str(caught.value)


ODD_NAMES = ["a\nb", "a\u2028b", "x" * 249, "a\x1b[31mb", " a ", 'a,"b', "*?[x]", "a\\b", "-v"]


@pytest.mark.parametrize("name", NAMES)
def test_films_with_odd_names_change_nothing_else(name, copied):
    root = copied(name)
    before = load(name, root)
    path = root / before.table["path"][0]
    for odd in ODD_NAMES:
        shutil.copy(path, path.with_name(odd + path.suffix))
    done = check(name, root)
    assert all(character.isprintable() for line in done.output.splitlines() for character in line)
    if done.exit_code == 2:
        # Their names say what films show.
        assert name in ("kermany", "nlm-tuberculosis")
        assert f"{len(ODD_NAMES)} file names " in done.stderr
        return
    assert done.exit_code == 0
    after = load(name, root)
    assert set(before.table["path"]) <= set(after.table["path"])
    # They are counted as in no list, or are films of their folder where an archive lists folders alone.
    assert len(after.unlisted) + len(after) == len(before.unlisted) + len(before) + len(ODD_NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_no_table_can_hold_is_refused(name, copied):
    root = copied(name)
    path = root / load(name, root).table["path"][0]
    shutil.copy(path, os.fsencode(path.parent) + b"/a\xff\xfe" + os.fsencode(path.suffix))
    done = check(name, root)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: {root}: 1 file names are not UTF-8, such as ")
