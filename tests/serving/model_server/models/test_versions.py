import pytest

from digits_model_server.models import versions
from digits_model_server.models.config import Policy
from digits_model_server.models.versions import AVAILABLE, END, LOADING, START, UNLOADING, Action


def test_only_folders_named_by_a_number_are_versions(tmp_path):
    for name in ("1", "00000123", "7.new", ".incoming-8", "-3", "12a", "９", str(2**63)):
        (tmp_path / name).mkdir()
    (tmp_path / "5").write_text("a file")
    assert versions.on_disk(str(tmp_path)) == ({1: tmp_path / "1", 123: tmp_path / "00000123"}, [])


def test_what_is_left_out_is_named_and_hides_no_other_version(tmp_path):
    for name in ("7", "007"):
        (tmp_path / name).mkdir()
    (tmp_path / "3").symlink_to("3")
    found, left_out = versions.on_disk(str(tmp_path))
    assert found == {7: tmp_path / "7"}
    assert sorted(left_out) == [
        "007: another folder has the same number",
        "3: Too many levels of symbolic links",
    ]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(), {9}),
        (Policy("latest", 2), {9, 4}),
        (Policy("all"), {1, 4, 9}),
        (Policy("specific", versions=frozenset({4, 7})), {4}),
        (Policy("specific"), set()),
    ],
)
def test_policies_choose(policy, expected):
    assert versions.aspired(policy, {1, 4, 9}) == expected


@pytest.mark.parametrize(
    ("states", "wanted", "expected"),
    [
        ({1: START}, {1}, Action(True, 1)),
        ({1: AVAILABLE, 2: START}, {2}, Action(True, 2)),  # the new one first
        ({1: AVAILABLE, 2: LOADING}, {2}, None),  # and the old one stays while it loads
        ({1: AVAILABLE, 2: END}, {2}, None),  # and when it fails
        ({1: AVAILABLE, 2: AVAILABLE}, {2}, Action(False, 1)),
        ({1: AVAILABLE, 2: AVAILABLE, 3: START}, {3}, Action(False, 1)),  # one old one is enough
        ({1: AVAILABLE}, set(), Action(False, 1)),
        ({1: UNLOADING, 2: AVAILABLE}, {2}, None),
        ({1: START, 2: START, 3: START}, {1, 2, 3}, Action(True, 3)),
        ({}, {1}, None),
    ],
)
def test_something_serves_at_every_step(states, wanted, expected):
    assert versions.next_action(states, wanted) == expected
