"""An inbox that anybody may write to: odd batches are set aside with a reason, the good ones are taken."""

import csv
import os
import re
import socket
import subprocess

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
from tests._digits import digits
from tests.flows._projects import endless, write
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


def half(folder):
    np.savez(folder / "digits.npz", images=IMAGES, labels=LABELS)
    (folder / "digits.npz").write_bytes((folder / "digits.npz").read_bytes()[:2000])


def sparse(folder):
    with (pictures(folder) / "huge.png").open("wb") as stream:
        stream.truncate(3 << 30)


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
    "a-file-of-dvc": (lambda f: write(pictures(f), "0.png.dvc", "stages: ["), "that DVC takes for its own"),
    "bytes-for-a-name": (lambda f: write(pictures(f), os.fsdecode(b"\xff.png"), ""), r"\\udcff.png has co"),
    "escapes-in-a-name": (lambda f: write(pictures(f), "\x1b[2J.png", ""), r"\\x1b\[2J.png has control"),
    "no-labels": (lambda f: (pictures(f) / "labels.csv").unlink(), "holds .*expected .* with a labels.csv"),
    "a-link": (lambda f: (pictures(f) / "6.png").symlink_to("/etc/passwd"), "neither a file nor a folder"),
    "a-pipe": (lambda f: os.mkfifo(pictures(f) / "6.png"), "neither a file nor a folder"),
    "a-socket": (listening, "neither a file nor a folder"),
    "sparse": (sparse, r"has 3,072\.\d MiB, expected at most 1,024: split it"),
    "too-deep": (lambda f: endless(pictures(f)), "folders deep"),
    "too-many-files": (crowded, "has more than 50 files and folders: split it"),
    "half-an-archive": (half, "can't be read"),
    "no-usable-row": (lambda f: pictures(f, "0.png,ten\n1.png,ten\n2.png,\n", 3),
                      "none of its 3 rows can be used, 3 of them like this: the label is 'ten'"),
}  # fmt: skip
GOOD = ("m-good", os.fsdecode(b"n-\xff\n good"))  # the second has a name that is shown with escapes


def read(root):
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


@pytest.mark.slow
def test_each_odd_batch_is_set_aside_with_its_reason_and_the_good_ones_are_taken(
    clone,  # noqa: F811
    inbox,  # noqa: F811
    monkeypatch,
):
    monkeypatch.setattr(intake, "judge", read)
    endless(pictures(inbox / "arriving"))
    assert inboxes.waiting(inbox) == [] and inboxes.waiting(inbox, still=0) == [inbox / "arriving"]
    (inbox / "arriving").rename(inbox.parent / "arriving")
    monkeypatch.setattr(inboxes, "_limits", lambda _: inboxes.arrival.Limits(files=50, size=1 << 30))
    for name, (make, _) in ODD.items():
        (inbox / name).mkdir()
        make(inbox / name)
        (inbox / name / ".complete").touch()
    for n, name in enumerate(GOOD, 3):
        (pictures(inbox / name, n=n) / ".complete").touch()
    took = intake.take_all(clone, inbox, intake.take_one, print)
    became = {each.batch: each for each in took}
    for name, (_, reason) in ODD.items():
        assert became[name].became == REFUSED and re.search(reason, became[name].why), became[name]
        told = (inbox / "quarantine" / name / "reason.txt").read_text()
        assert re.search(reason, told) and told.rstrip("\n").isprintable(), told
        assert (inbox / "quarantine" / name / name).exists()
    others = {name: each.became for name, each in became.items() if name not in ODD}
    assert others == {"m-good": ACCEPTED, r"n-\udcff\n good": ACCEPTED}
    assert [path.name for path in inbox.iterdir()] == ["quarantine"]  # nothing is tried again
    kept = [path for path in (clone.project / ".dvc" / "cache").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) < 1 << 20
    folders = [path.name for path in (clone.root / "data" / "incoming").iterdir() if path.is_dir()]
    assert len(folders) == 2 and all(name.startswith(("m-good-", "n--udcff-n-good-")) for name in folders)
