"""What people get wrong about a base path, from listings and from real folders."""

import errno
import os
import re
import sys

import pytest

from digits_model_server.models.config import ModelSettings
from digits_model_server.models.diagnosis import MOST, Entry, Listing, explain, survey
from digits_model_server.models.model import AGAIN, SOON, ConfiguredModel
from digits_model_server.models.versions import AVAILABLE, Version

BASE = "/models/half"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            Listing(BASE, errno.ENOENT, above="/models", beside=("half_plus", "other")),
            "it does not exist; /models does, and holds half_plus, other; did you mean /models/half_plus?",
        ),
        (
            Listing(BASE, errno.ENOENT, above="/models", mount="/models"),
            "/models does, and holds nothing that this user can see; /models is a mount: is its source",
        ),
        (Listing(BASE, model=True), "move its contents to /models/half/1"),
        (
            Listing(BASE + "/3/", model=True),
            "it is itself a version, with a saved_model.pb: give its parent, /models/half",
        ),
        (Listing(BASE, entries=(Entry("v1", model=True),)), "v1 holds a model, .* rename it to 1"),
        (Listing(BASE, entries=(Entry(".incoming-1"), Entry(".tmp"))), "hidden names only, .incoming-1"),
        (Listing(BASE), "it is empty: expected folders named 1, 2, …, each a SavedModel"),
        (Listing(BASE, errno.EACCES, user=65534), "user 65534 may not read it: r and x are needed"),
        (Listing(BASE, errno.ENOTDIR), "it is a file: give a folder, one that holds folders named 1, 2, …"),
        (
            Listing(BASE + "/1/saved_model.pb", errno.ENOTDIR),
            "it is a file: give the folder above the version's folder",
        ),
        (
            Listing(BASE, entries=(Entry("half", versions=("1", "2")),)),
            "the versions 1, 2 are one level deeper: give /models/half/half",
        ),
        (
            Listing("/models", entries=(Entry("a", versions=("1",)), Entry("b", versions=("1",)))),
            "it holds several models, a, b: give /models/a, or list them in a --model_config_file",
        ),
        (Listing(BASE, entries=(Entry("1", folder=False),)), "1 is not a folder, or a link to a missing one"),
        (Listing(BASE, errno.EIO), "it can't be read: Input/output error"),
    ],
)
def test_each_mistake_has_its_reason_and_its_remedy(found, said):
    assert re.search(said.replace("?", r"\?").replace("(", r"\("), explain(found)), explain(found)
    assert "\n" not in explain(found)


def test_real_folders_are_seen_as_they_are(tmp_path):
    assert explain(Listing(BASE, entries=(Entry("1", model=True),))) == "", "a version has come meanwhile"
    for name in ("a/1", "a/12", "a/2", "b"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "b" / "saved_model.pb").touch()
    (tmp_path / "3").symlink_to(tmp_path / "nowhere")
    found = survey(str(tmp_path))
    entries = Entry("3", folder=False), Entry("a", versions=("1", "2", "12")), Entry("b", model=True)
    assert found.entries == entries
    assert (found.error, found.model, found.user) == (0, False, os.geteuid())
    assert survey(str(tmp_path / "b")).model
    gone = survey(str(tmp_path / "none" / "at" / "all"))
    assert (gone.error, gone.above, gone.beside) == (errno.ENOENT, str(tmp_path), ("3", "a", "b"))
    assert survey(str(tmp_path / "b" / "saved_model.pb")).error == errno.ENOTDIR
    for number in range(MOST):
        (tmp_path / f"file{number}").touch()
    assert len(survey(str(tmp_path)).entries) == MOST, "a folder of many files is not read to its end"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a mount on Linux")
def test_a_mount_is_seen_at_the_path_and_above_it():
    assert survey("/proc").mount == "/proc" and survey("/proc/nothing").mount == "/proc"
    assert survey("/").mount == ""


def test_a_complaint_is_made_at_once_and_again_while_nothing_serves(tmp_path):
    model = ConfiguredModel(ModelSettings("m", str(tmp_path)))
    present, complaint = model.scan()
    assert present == {}
    assert complaint.startswith(f"No versions of servable m found under base path {tmp_path}: ")
    heard = [now for now in range(1000, 1000 + int(2.5 * AGAIN)) if model.should_log(complaint, now)]
    assert heard == [1000, 1000 + AGAIN, 1000 + 2 * AGAIN]
    heard = [now for now in range(2000, 2000 + int(2.5 * SOON)) if model.should_log(f"another {now}", now)]
    assert heard == [2000, 2000 + SOON, 2000 + 2 * SOON], "a busy folder does not fill the log"
    assert not model.should_log("", 3000) and model.should_log(complaint, 3001), "a relapse is news"
    model.versions[1] = Version("m", 1, tmp_path)
    model.versions[1].state = AVAILABLE
    assert not model.should_log(complaint, 3001 + 2 * AGAIN), "it serves: no hurry"
