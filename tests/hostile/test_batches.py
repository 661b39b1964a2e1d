"""An inbox that anybody may write to: odd batches are set aside with a reason, the good ones are taken."""

import csv
import os
import re
import socket
import subprocess
import zipfile

import numpy as np
import pytest
from PIL import Image

from digits import files
from digits.ingest.batches import read_batches
from digits.pipeline.repro import Run, StageRun
from digits.runtime.errors import DataError
from flows.clone import inbox as inboxes
from flows.clone import intake
from flows.clone.intake import ACCEPTED, REFUSED
from flows.clone.workspace import prepare
from tests._digits import digits
from tests._project import project as tiny
from tests.flows._projects import write
from tests.flows.clone.conftest import clone, project, template  # noqa: F401 - fixtures
from tests.flows.conftest import inbox, own_home  # noqa: F401 - fixtures

IMAGES, LABELS = digits(6, seed=9)


def pictures(folder, table=None, n=6):
    """A good batch of PNG files, or one whose labels.csv has these rows."""
    folder.mkdir(exist_ok=True)
    for number, image in enumerate(IMAGES[:n]):
        Image.fromarray(255 - image).resize((60, 60)).save(folder / f"{number}.png")
    rows = "".join(f"{number}.png,{label}\n" for number, label in enumerate(LABELS[:n]))
    write(folder, "labels.csv", f"file,label\n{rows if table is None else table}")
    return folder


def archive(folder, **arrays):
    folder.mkdir(exist_ok=True)
    np.savez(folder / "digits.npz", **({"images": IMAGES, "labels": LABELS} | arrays))
    return folder / "digits.npz"


def with_file(name):
    return lambda folder: write(pictures(folder), name, "stages: [")


def half(folder):
    path = archive(folder)
    path.write_bytes(path.read_bytes()[:2000])


def encrypted(folder):
    path = archive(folder)
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(signature), bytes(data)):
            data[found.start() + at] |= 1
    path.write_bytes(data)


def oddly_packed(folder):
    path = archive(folder)
    with zipfile.ZipFile(path) as before:
        members = {name: before.read(name) for name in before.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as after:
        for name, data in members.items():
            after.writestr(name, data)
    path.write_bytes(path.read_bytes().replace(b"\x0e\x00", b"\x63\x00"))  # a method that nobody has


def sparse(folder):
    with (pictures(folder) / "huge.png").open("wb") as stream:
        stream.truncate(3 << 30)


def deep(folder):
    """Folders in folders, more than a path may have and than Python recurses."""
    here = os.open(pictures(folder), os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


@pytest.fixture(autouse=True)
def swept(tmp_path):
    """Removes what pytest can't, since it recurses."""
    yield
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)


def crowded(folder):
    pictures(folder)
    for number in range(60):
        write(folder, f"notes/{number}.txt", "")


def listening(folder):
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(pictures(folder), os.O_RDONLY)
        made.bind(f"/proc/self/fd/{here}/0.sock")  # the folder's own path may be too long for a socket
        os.close(here)


ODD = {  # by the batch's name: how it is made, and why it is refused
    "a-file-of-dvc": (with_file("0.png.dvc"), "0.png.dvc is a file that DVC takes for its own"),
    "a-dvcfile": (with_file("Dvcfile"), "Dvcfile is a file that DVC takes for its own"),
    "a-pipeline": (with_file("sub/dvc.yaml"), "dvc.yaml is a file that DVC takes for its own"),
    "bytes-for-a-name": (with_file(os.fsdecode(b"\xff.png")), r"\\udcff.png has control characters"),
    "escapes-in-a-name": (with_file("\x1b[2J.png"), r"\\x1b\[2J.png has control characters"),
    "nothing-inside": (lambda folder: write(folder, ".complete", ""), "contains no file"),
    "no-labels": (lambda f: (pictures(f) / "labels.csv").unlink(), "holds .*expected .* with a labels.csv"),
    "a-link": (lambda f: (pictures(f) / "6.png").symlink_to("/etc/passwd"), "neither a file nor a folder"),
    "a-linked-folder": (lambda f: (pictures(f) / "more").symlink_to("/etc"), "neither a file nor a folder"),
    "a-pipe": (lambda folder: os.mkfifo(pictures(folder) / "6.png"), "neither a file nor a folder"),
    "a-socket": (listening, "neither a file nor a folder"),
    "sparse": (sparse, r"has 3,072\.\d MiB, expected at most 1,024: split it"),
    "too-deep": (deep, "folders deep"),
    "too-many-files": (crowded, "has more than 50 files and folders: split it"),
    "half-an-archive": (half, "can't be read"),
    "an-encrypted-archive": (encrypted, "encrypted"),
    "an-oddly-packed-archive": (oddly_packed, "compression method is not supported"),
    "arrays-of-texts": (lambda f: archive(f, images=np.full((6, 28, 28), "x")), "images are <U1; expected"),
    "too-many-rows": (lambda f: archive(f, images=np.tile(IMAGES, (9, 1, 1))), "has 54 rows, expected at"),
    "no-usable-row": (lambda f: pictures(f, "0.png,ten\n1.png,ten\n2.png,\n", 3),
                      "none of its 3 rows can be used, 3 of them like this: the label is 'ten'"),
}  # fmt: skip
GOOD = ("m-good", os.fsdecode(b"n-\xff\n good"))  # the second has a name that is shown with escapes


def read(root, _log):
    """Ingest's own reading, and reports as validate writes them, in place of the two stages."""
    try:
        batches = read_batches(root / "data" / "incoming", rows=50, size=1 << 24)
    except DataError as error:
        return Run([StageRun("ingest", "failed", 1.0, str(error), DataError.exit_code)], 1.0, False)
    counts = [
        {"batch": each.name, "accepted": len(each.labels), "quarantined": len(each.rejected)}
        for each in batches
    ]
    files.write_json(root / "reports" / "validation.json", {"batches": counts})
    (root / "reports" / "validation").mkdir(exist_ok=True)
    with (root / "reports" / "validation" / "quarantine.csv").open("w") as stream:
        table = csv.writer(stream)
        table.writerow(["batch", "reason"])
        table.writerows([each.name, row.reason] for each in batches for row in each.rejected)
    return Run([StageRun("ingest", "ran"), StageRun("validate", "ran")], 1.0, True)


def take(workspace, batch):
    return intake.take_one(workspace, batch, print)


def ended(intakes, quarantine, odd):
    """Each batch's end is the expected one, and everything odd is in quarantine with its reason."""
    became = {each.batch: each for each in intakes}
    for name, reason in odd.items():
        assert became[name].became == REFUSED, became[name]
        assert re.search(reason, became[name].why), became[name]
        told = (quarantine / name / "reason.txt").read_text()
        assert re.search(reason, told) and told.rstrip("\n").isprintable(), told
        assert (quarantine / name / name).exists()
    return {name: each.became for name, each in became.items() if name not in odd}


@pytest.mark.parametrize(
    "kinds",
    [("a-file-of-dvc", "half-an-archive", "sparse"), pytest.param(tuple(ODD), marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_each_odd_batch_is_set_aside_with_its_reason_and_the_good_ones_are_taken(
    clone,  # noqa: F811
    inbox,  # noqa: F811
    monkeypatch,
    kinds,
):
    odd = {name: ODD[name] for name in kinds}
    monkeypatch.setattr(intake, "judge", read)
    deep(inbox / "arriving")
    assert inboxes.waiting(inbox) == [] and inboxes.waiting(inbox, still=0) == [inbox / "arriving"]
    (inbox / "arriving").rename(inbox.parent / "arriving")
    monkeypatch.setattr(inboxes, "_limits", lambda _: inboxes.arrival.Limits(files=50, size=1 << 30))
    for name, (make, _) in odd.items():
        (inbox / name).mkdir()
        make(inbox / name)
        (inbox / name / ".complete").touch()
    for n, name in enumerate(GOOD, 3):
        (pictures(inbox / name, n=n) / ".complete").touch()
    took = intake.take_all(clone, inbox, take, print)
    others = ended(took, inbox / "quarantine", {name: reason for name, (_, reason) in odd.items()})
    assert others == {"m-good": ACCEPTED, r"n-\udcff\n good": ACCEPTED}
    assert [path.name for path in inbox.iterdir()] == ["quarantine"]  # nothing is tried again
    kept = [path for path in (clone.project / ".dvc" / "cache").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) < 1 << 20
    folders = [path.name for path in (clone.root / "data" / "incoming").iterdir() if path.is_dir()]
    assert len(folders) == 2 and all(name.startswith(("m-good-", "n--udcff-n-good-")) for name in folders)


@pytest.mark.slow
def test_the_real_stages_take_the_good_batch_and_refuse_the_odd_ones_beside_it(tmp_path, monkeypatch):
    made = tiny(tmp_path, train=400, test=200)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "inbox"
    folder.mkdir()
    known, labels = digits(400, seed=1)  # of the data set itself
    odd = {
        "copies": (lambda f: archive(f, images=known[:6], labels=labels[:6]), "like this: copy of train row"),
        **{name: ODD[name] for name in ("a-file-of-dvc", "half-an-archive", "no-usable-row", "sparse")},
    }
    for name, (make, _) in odd.items():
        (folder / name).mkdir()
        make(folder / name)
        (folder / name / ".complete").touch()
    (pictures(folder / "good") / ".complete").touch()
    with prepare(made.root) as workspace:
        took = intake.take_all(workspace, folder, take, print)
        reasons = {name: reason for name, (_, reason) in odd.items()}
        assert ended(took, folder / "quarantine", reasons) == {"good": ACCEPTED}
        assert (folder / "quarantine" / "copies" / "reports" / "validation" / "quarantine.csv").exists()
        assert intake.take_all(workspace, folder, take, print) == []
