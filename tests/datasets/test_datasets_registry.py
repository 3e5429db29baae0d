"""Names, options and the search for a data set's folder."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.datasets import adapter, check_options, dataset_names, discover, load, register, registry
from cxrbench.errors import DatasetError, RadiographError

FIXTURES = Path(__file__).parents[2] / "fixtures"

FOLDERS = tuple(name for name in registry._SHIPPED if name != "phantom")


@pytest.fixture
def own_registry(monkeypatch):
    for shipped in registry._SHIPPED:
        registry.adapter(shipped)  # What is imported from here on would be forgotten with the test.
    monkeypatch.setattr(registry, "_adapters", dict(registry._adapters))


def test_the_data_sets_that_ship_are_known_by_name():
    five = ("chestxray14", "rsna-pneumonia", "covid-image-collection", "kermany", "manifest")
    assert dataset_names()[:6] == ("phantom", *five)


@pytest.mark.parametrize("name", FOLDERS)
def test_every_shipped_data_set_is_found_among_the_fixtures_and_loads(name, fixtures):
    folder = discover(fixtures, name)
    cohort = load(name, folder)
    assert folder == fixtures / name
    assert cohort.dataset == adapter(name).name == name
    assert all((folder / path).is_file() for path in cohort.table["path"])
    assert cohort.pixels.read(0, 16).shape == (16, 16)
    assert cohort.listed == len(cohort) + sum(cohort.left_out.values())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("chestxray", "did you mean chestxray14?"),
        ("chest-xray-14", "did you mean 'chestxray14'?"),
        ("covid-image", "did you mean covid-image-collection?"),
        ("RSNA", "did you mean rsna-pneumonia?"),
        (
            "padchest-zzz",
            "known: phantom, chestxray14, rsna-pneumonia, covid-image-collection, kermany, manifest",
        ),
    ],
)
def test_an_unknown_name_gets_the_nearest_ones(name, hint):
    with pytest.raises(DatasetError) as raised:
        adapter(name)
    assert hint in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("own_registry")
def test_a_users_own_data_set_is_registered_with_a_decorator(fixtures, tmp_path):
    @register(
        "ours",
        title="Our archive",
        marker="ours.txt",
        recognises=lambda folder: (folder / "ours.txt").exists(),
    )
    def load_ours(root, part="kermany"):
        assert root == tmp_path
        return load("kermany", fixtures / part)

    (tmp_path / "ours.txt").touch()
    assert dataset_names() == ("phantom", *FOLDERS, "ours")
    assert discover(tmp_path, "ours") == tmp_path
    assert len(load("ours", tmp_path)) == 14
    assert len(load("ours", tmp_path, part="kermany/chest_xray")) == 14


@pytest.fixture
def installed(own_registry, monkeypatch, tmp_path):  # noqa: ARG001
    """Return a function that installs a package of one module with these entry points, as pip would."""

    def install(module: str, source: str, entries: str) -> None:
        (tmp_path / f"{module}.py").write_text(source)
        folder = tmp_path / f"{module}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[cxrbench.datasets]\n{entries}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, module, raising=False)

    yield install
    for name in ("archive_of_ours", "broken_archive"):
        sys.modules.pop(name, None)


OURS = """
from cxrbench.datasets import load, register

@register("ours", title="Ours", marker="ours.txt", recognises=lambda folder: (folder / "ours.txt").exists())
def load_ours(root, part="kermany"):
    return load("kermany", root / part)
"""


@pytest.mark.parametrize("value", ["archive_of_ours", "archive_of_ours:load_ours"])
def test_a_data_set_of_an_installed_package_is_found_by_name(value, installed, copied):
    root = copied("kermany").parent
    (root / "ours.txt").touch()
    installed("archive_of_ours", OURS, f"ours = {value}")
    assert "ours" in dataset_names()
    assert "archive_of_ours" not in sys.modules
    assert discover(root, "ours") == root
    assert len(load("ours", root)) == 14
    found = adapter("ours")
    assert (found.public, found.synthetic, found.licence) == (False, False, "")


def test_the_command_finds_it_too(installed, copied):
    root = copied("kermany").parent
    (root / "ours.txt").touch()
    installed("archive_of_ours", OURS, "ours = archive_of_ours")
    done = CliRunner().invoke(main, ["data", "check", "ours", str(root), "--no-read"])
    assert done.exit_code == 0, done.output
    assert "14 images" in done.output


@pytest.mark.parametrize(
    ("source", "entry", "hint"),
    [
        ("import no_such_module_at_all", "broken_archive", "cannot be imported: No module named"),
        ("raise RuntimeError('two\\nlines')", "broken_archive", "cannot be imported: two lines"),
        ("", "broken_archive:load", "cannot be imported"),
        ("", "broken_archive", "does not register it; decorate its loader with @register('ours', ...)"),
    ],
)
def test_a_package_that_registers_nothing_is_named_in_one_line(source, entry, hint, installed):
    installed("broken_archive", source, f"ours = {entry}")
    with pytest.raises(DatasetError) as raised:
        adapter("ours")
    assert hint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_no_package_takes_the_place_of_a_data_set_that_ships(installed):
    installed("archive_of_ours", OURS, "kermany = archive_of_ours")
    assert adapter("kermany").loader.__module__ == "cxrbench.datasets.kermany"
    assert dataset_names().count("kermany") == 1


@pytest.mark.parametrize("name", FOLDERS)
def test_every_shipped_data_set_says_whether_it_is_public_and_its_licence(name):
    found = adapter(name)
    # The others are one's own list, and archives that are given only to those who sign an agreement.
    public = (
        "chestxray14",
        "rsna-pneumonia",
        "covid-image-collection",
        "kermany",
        "siim-covid19",
        "covidx",
        "openi",
        "nlm-tuberculosis",
        "midrc-ricord-1c",
    )
    assert found.public == (name in public)
    assert bool(found.licence) == (name != "manifest")
    assert not found.synthetic


@pytest.mark.parametrize("name", ["kermany", "phantom", "manifest"])
@pytest.mark.usefixtures("own_registry")
def test_a_taken_name_cannot_be_registered_again(name):
    with pytest.raises(DatasetError, match=f"'{name}' is registered already"):
        register(name, title="", marker="", recognises=bool)(load)


def test_a_generated_data_set_has_no_folder_and_gets_seed_and_device():
    with pytest.raises(DatasetError, match="'phantom' is generated: it has no folder"):
        discover(".", "phantom")
    options = {"cohort": "covid", "n_images": 4, "n_test_images": 0}
    first, again, other = (load("phantom", seed=seed, **options) for seed in (1, 1, 2))
    assert first.pixels.fingerprint() == again.pixels.fingerprint() != other.pixels.fingerprint()
    assert load("phantom", device="cuda:1", **options).pixels.device == "cuda:1"
    assert adapter("phantom").synthetic


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({}, "option 'cohort' must be one of findings, pneumonia, covid, not None"),
        ({"cohort": "covit"}, "not 'covit'; did you mean 'covid'?"),
        ({"cohort": "covid", "n_imagse": 3}, "unknown knob 'n_imagse'; did you mean 'n_images'?"),
        ({"cohort": "covid", "imaging": {"nois": 1}}, "unknown knob 'nois'; did you mean 'noise'?"),
        ({"cohort": "covid", "imaging": 1}, "phantom.imaging must be a table"),
        ({"cohort": "covid", "seed": 1}, "no option 'seed'"),
    ],
)
def test_the_phantoms_options_are_checked_before_anything_is_drawn(options, hint):
    with pytest.raises(DatasetError) as raised:
        check_options(adapter("phantom"), options)
    assert hint in str(raised.value)


def test_a_data_set_that_lies_in_a_folder_asks_for_it():
    with pytest.raises(DatasetError, match="'kermany' is read from a folder; name the folder"):
        load("kermany")


def test_an_unknown_option_is_refused(fixtures):
    with pytest.raises(
        DatasetError, match=r"no option 'label'; did you mean 'labels'\? \(it takes file, labels"
    ):
        load("manifest", fixtures / "manifest", label=["COVID-19"])
    with pytest.raises(DatasetError, match=r"no option 'labels' \(it takes no options"):
        load("kermany", fixtures / "kermany", labels=["Pneumonia"])


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_is_not_there_or_a_file_is_refused(name, tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        load(name, tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="is a file; name the data set's folder"):
        load(name, tmp_path / "file")
    with pytest.raises(DatasetError, match="no such folder"):
        discover(tmp_path / "nowhere", name)


@pytest.mark.parametrize("name", FOLDERS)
def test_an_empty_folder_is_refused_in_one_line(name, tmp_path):
    with pytest.raises(DatasetError) as raised:
        load(name, tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(DatasetError, match=rf"no {name} data .* or the 0 folders in it; looked for "):
        discover(tmp_path, name)


def test_the_root_itself_is_preferred(fixtures):
    assert discover(fixtures / "kermany", "kermany") == fixtures / "kermany"


def test_several_folders_that_fit_are_named(copied, tmp_path):
    first = copied("kermany")
    first.rename(tmp_path / "a")
    copied("kermany").rename(tmp_path / "b")
    with pytest.raises(DatasetError, match=r"several folders of .* look like kermany: a, b; name one"):
        discover(tmp_path, "kermany")


def test_hidden_folders_are_not_searched(copied, tmp_path):
    copied("kermany").rename(tmp_path / ".trash")
    with pytest.raises(DatasetError, match="no kermany data"):
        discover(tmp_path, "kermany")


def test_a_manifest_of_another_name_is_found_by_it(copied, tmp_path):
    folder = copied("manifest")
    (folder / "manifest.csv").rename(folder / "films.csv")
    assert discover(tmp_path, "manifest", file="films.csv", labels=["COVID-19"]) == folder
    with pytest.raises(DatasetError, match="no manifest data"):
        discover(tmp_path, "manifest")


def test_importing_the_package_is_light():
    code = (
        "import sys, cxrbench.datasets\n"
        "print(sorted({'torch', 'pandas', 'PIL', 'pydicom'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("chestxray14", ("torch", "PIL", "pydicom")),
        # One header is opened, for the size that the boxes refer to.
        ("rsna-pneumonia", ("torch",)),
    ],
)
def test_building_a_table_imports_no_image_library_and_no_torch(fixtures, name, foreign):
    code = (
        "import sys; from cxrbench.datasets import load\n"
        f"load({name!r}, {str(fixtures / name)!r})\n"
        f"print(sorted(set({foreign!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_largest_picture_of_a_role_is_the_readers():
    root = FIXTURES / "kermany"
    assert load("kermany", root, max_pixels=10**6).pixels.read(0, 8).shape == (8, 8)
    with pytest.raises(RadiographError, match="more than 10 pixels"):
        load("kermany", root, max_pixels=10).pixels.read(0, 8)
