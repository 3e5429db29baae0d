"""Damage the files of a finished study, give its command again, and see what it makes of them.

python damage.py FOLDER FIRST:LAST
python damage.py FOLDER CASE...

Prints one JSON object: one row per damaged file.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from forks import SCHEME, TRACEBACK, Ended, aucs, left, predictions, study, write_profile

Damage = Callable[[Path], None]
CASES: dict[str, Damage] = {}


def case(name: str) -> Callable[[Damage], Damage]:
    def add(damage: Damage) -> Damage:
        CASES[name] = damage
        return damage

    return add


def flip(path: Path, at: int, mask: int = 0x40) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= mask
    path.write_bytes(content)


def cut(path: Path, keep: int | None = None) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 if keep is None else keep])


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, (path, old)
    path.write_text(text.replace(old, new, 1))


def stage(out: Path, notation: str = "init > findings > covid") -> Path:
    folders = [note.parent for note in (out / "stages").glob("*/stage.json")]
    return next(f for f in folders if json.loads((f / "stage.json").read_text())["run"] == notation)


def pack(out: Path, role: str = "covid") -> Path:
    packs = [note.parent for note in (out / "packs").glob("*/pack.json")]
    return next(f for f in packs if json.loads((f / "pack.json").read_text())["dataset"] == f"phantom-{role}")


def split(out: Path) -> Path:
    return next((out / "splits").glob("covid-*.csv"))


def audit(out: Path) -> Path:
    return next((out / "audits").glob("*.json"))


def test(out: Path, suffix: str) -> Path:
    return out / f"predictions/seed-0/test/{SCHEME}.{suffix}"


def anew(out: Path) -> None:
    """Take out what is computed from packs, so that they are used."""
    shutil.rmtree(out / "stages")
    shutil.rmtree(out / "predictions")


def of(find: Callable[[Path], Path], damage: Callable[..., None], *rest: object) -> Damage:
    return lambda out: damage(find(out), *rest)


def both(*damages: Damage) -> Damage:
    def damaged(out: Path) -> None:
        for one in damages:
            one(out)

    return damaged


def best(out: Path) -> Path:
    return stage(out) / "best.safetensors"


def parent(out: Path) -> Path:
    return stage(out, "init > findings") / "best.safetensors"


def no_predictions(out: Path) -> None:
    shutil.rmtree(out / "predictions")


def no_last_stage(out: Path) -> None:
    no_predictions(out)
    shutil.rmtree(stage(out))


def a_file(name: str) -> Damage:
    def damaged(out: Path) -> None:
        shutil.rmtree(out / name)
        (out / name).write_text("")

    return damaged


def a_folder(find: Callable[[Path], Path]) -> Damage:
    def damaged(out: Path) -> None:
        find(out).unlink()
        find(out).mkdir()

    return damaged


def written(find: Callable[[Path], Path], text: str) -> Damage:
    return lambda out: (find(out).write_text(text), None)[1]


def pixels(out: Path) -> Path:
    return pack(out) / "pixels.npy"


def table(out: Path) -> Path:
    return pack(out) / "table.jsonl"


def zeroed(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:2000] + bytes(30000) + content[32000:])


def elsewhere(out: Path) -> None:
    """Have the record of the test predictions say, and seal, that they are those of validation."""
    from cxrbench.records import read_record, write_record
    from cxrbench.study.predictions import PredictionFile

    other = read_record(out / f"predictions/seed-0/validation/{SCHEME}.json", PredictionFile)
    shutil.copy(out / f"predictions/seed-0/validation/{SCHEME}.csv", test(out, "csv"))
    own = read_record(test(out, "json"), PredictionFile)
    write_record(test(out, "json"), type(own)(**{**vars(other), "key": own.key}))


CASES |= {
    "nothing": lambda _: None,
    "network: cut": both(no_predictions, of(best, cut)),
    "network: empty": both(no_predictions, of(best, cut, 0)),
    "network: a bit of a parameter": both(no_predictions, of(best, flip, -10001, 0x80)),
    "network: a bit of its header": both(no_predictions, of(best, flip, 40, 0x02)),
    "network: gone": both(no_predictions, lambda out: best(out).unlink()),
    "network: gone, predictions there": lambda out: best(out).unlink(),
    "network: another stage's": both(
        no_predictions, lambda out: (shutil.copy(parent(out), best(out)), None)[1]
    ),
    "network: a folder": a_folder(best),
    "network of the stage before: a bit": both(no_last_stage, of(parent, flip, -10001, 0x80)),
    "network of the stage before: cut": both(no_last_stage, of(parent, cut)),
    **{
        f"done.json: {text[:24] or 'empty'}": written(lambda out: stage(out) / "done.json", text)
        for text in ("", "{}", "[]", "null", '{"best_epoch": 7, "history": []}')
    },
    "done.json: an AUC": lambda out: replace(
        stage(out) / "done.json", '"validation_auc": 0.', '"validation_auc": 0.1'
    ),
    "done.json: gone": lambda out: (stage(out) / "done.json").unlink(),
    "stage.json: empty": written(lambda out: stage(out) / "stage.json", ""),
    **{
        f"prediction record: {text or 'empty'}": written(lambda out: test(out, "json"), text)
        for text in ("", "{}", "[]", '{"path": 1}')
    },
    "prediction record: names another file, sealed again": elsewhere,
    "predictions: a digit": lambda out: flip(test(out, "csv"), -4, 1),
    "predictions: cut": lambda out: cut(test(out, "csv")),
    "predictions: a row gone": lambda out: cut(test(out, "csv"), -30),
    "predictions: gone": lambda out: test(out, "csv").unlink(),
    "pixels: a byte": both(anew, of(pixels, flip, 5000, 0x80)),
    "pixels: a byte of a test image, predictions gone": both(no_predictions, of(pixels, flip, -500, 0x80)),
    "pixels: a region zeroed": both(anew, of(pixels, zeroed)),
    "pixels: cut": both(anew, of(pixels, cut)),
    "pixels: a folder": both(anew, a_folder(pixels)),
    "pixels: a link to nowhere": both(
        anew, lambda out: (pixels(out).unlink(), pixels(out).symlink_to("nowhere"), None)[2]
    ),
    "table: a label": both(anew, lambda out: replace(table(out), "1.0", "0.0")),
    "table: cut": both(anew, of(table, cut)),
    **{
        f"pack.json: {text or 'empty'}": both(anew, written(lambda out: pack(out) / "pack.json", text))
        for text in ("", "[]", "null", '{"key": 1}')
    },
    **{
        f"audit: {text or 'empty'}": written(audit, text)
        for text in ("", "{}", "[]", "null", '{"pairs": [1]}')
    },
    "split: a part": lambda out: replace(split(out), ",train", ",test"),
    "split: its seed": lambda out: replace(split(out), '"seed":5', '"seed":6'),
    "split: cut": lambda out: cut(split(out)),
    "split: empty": lambda out: cut(split(out), 0),
    "split: not text": lambda out: (split(out).write_bytes(b"\x80\xff\x00"), None)[1],
    "split: gone": lambda out: split(out).unlink(),
    "results.json: not JSON": lambda out: (((out / "results.json").write_text("{")), None)[1],
    "results.json: an AUC": lambda out: replace(out / "results.json", '"auc": 0.', '"auc": 0.1'),
    "results.json: a folder": a_folder(lambda out: out / "results.json"),
    "trace.json: cut": lambda out: cut(out / "trace.json"),
    "trace.json: a folder": a_folder(lambda out: out / "trace.json"),
    **{f"{name}: a file": a_file(name) for name in ("packs", "splits", "audits", "stages", "predictions")},
}


def what_came(name: str, ended: Ended, identical: bool) -> str:
    """Return the outcome in the words of the table."""
    if ended.code == TRACEBACK or any(line.startswith("Traceback") for line in ended.said):
        return "TRACEBACK"
    if ended.code == 2:
        return "refused in one line" if ended.in_one_line else "SEVERAL LINES"
    if ended.code != 0:
        return f"EXIT CODE {ended.code}"
    if not identical:
        return "SILENT: other numbers"
    if any(word in line for line in ended.said for word in ("again", "not kept")):
        return "made again and said, identical"
    return "made again, identical" if name != "nothing" else "kept, identical"


def main(folder: Path, names: list[str]) -> None:
    profile = write_profile(folder)
    whole = folder / "whole"
    first = study(profile, whole)
    assert first.code == 0, first.said
    rows = []
    for name in names:
        out = Path(shutil.copytree(whole, folder / "damaged", symlinks=True))
        CASES[name](out)
        ended = study(profile, out)
        identical = ended.code == 0 and predictions(out) == predictions(whole) and aucs(out) == aucs(whole)
        said = [
            line for line in ended.said if line.startswith("Error") or "again" in line or "not kept" in line
        ]
        rows.append(
            {
                "case": name,
                "outcome": what_came(name, ended, identical),
                "said": (said or [""])[0].replace(f"{out}/", "").replace(str(out), "OUT"),
                "left": left(out) if ended.code == 0 else [],
            }
        )
        shutil.rmtree(out)
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    chosen = sys.argv[2:]
    if chosen[0].replace(":", "").isdigit():
        chosen = list(CASES)[slice(*map(int, chosen[0].split(":")))]
    main(Path(sys.argv[1]).resolve(), chosen)
