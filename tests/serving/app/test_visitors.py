"""Who a visitor is, behind proxies and not, and how much one visitor may have."""

import pytest

from digits.runtime.errors import ParamsError
from serving.app import visitors
from serving.app.visitors import Proxies, Rate, Shares, counted, networks


def visitor(*forwarded, client="10.0.0.1", trusted=("10.0.0.0/8", "fd00::/8")):
    """The address that counts; forwarded: the lines of X-Forwarded-For."""
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded]
    return Proxies(networks(trusted)).visitor({"client": (client, 5000), "headers": headers})


@pytest.mark.parametrize(
    ("forwarded", "found"),
    [
        ([], "10.0.0.1"),
        (["192.0.2.7"], "192.0.2.7"),
        (["[2001:db8::7]:5000"], "2001:db8::7"),
        (["192.0.2.7, 10.0.0.9, fd00::1"], "192.0.2.7"),
        (["10.0.0.8, 10.0.0.9"], "10.0.0.8"),
        (["198.51.100.1, 192.0.2.7"], "192.0.2.7"),  # what is left of it came with the request
        (["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, nonsense, 10.0.0.9"], "10.0.0.9"),
        (["192.0.2.7,"], "10.0.0.1"),
        (["x" * 60_000], "10.0.0.1"),
        (["\xff\xfe"], "10.0.0.1"),
    ],
)
def test_behind_a_trusted_proxy_the_last_address_that_is_none_counts(forwarded, found):
    assert visitor(*forwarded) == found


def test_what_anybody_else_says_of_himself_is_not_believed():
    assert visitor("192.0.2.7", client="203.0.113.5") == "203.0.113.5"
    assert visitor("192.0.2.7", trusted=()) == "10.0.0.1"
    shown = visitor("::ffff:192.0.2.7", client="::ffff:10.0.0.1")
    assert shown == "192.0.2.7", "as a socket on :: shows them"
    assert Proxies(networks(["10.0.0.1"])).visitor({"headers": []}) == ""


@pytest.mark.parametrize("wrong", ["*", "10.0.0.1/8", "proxy.example"])
def test_a_proxy_that_is_no_network_is_refused(wrong):
    with pytest.raises(ParamsError, match=r"--trusted-proxy: .*expected an address, or a network"):
        networks([wrong])


def test_of_ipv6_a_household_counts_as_one():
    assert counted("2001:db8::1") == counted("2001:db8::ffff:0:0:1") != counted("2001:db8:0:1::1")
    assert counted("::ffff:192.0.2.7") == counted("192.0.2.7") == "192.0.2.7"


def test_one_visitor_has_no_more_than_a_share_and_all_together_no_more_than_there_is():
    one = Shares(5, 2)
    assert [one.take("a"), one.take("a"), one.take("a")] == [True, True, False]
    assert [one.take("b", 3), one.take("b", 2), one.take("c", 2)] == [False, True, False]
    one.give_back("a")
    assert one.take("c", 2) and one.used == one.total
    for name, amount in (("a", 1), ("b", 2), ("c", 2)):
        one.give_back(name, amount)
    assert one.take("", 5), "who stands for many may have all"


def test_a_full_bucket_passes_at_once_and_then_at_the_rate_for_each_address():
    clock = [100.0]
    one = Rate(2.0, 3, lambda: clock[0])
    assert [one.wait("a") for _ in range(3)] == [0, 0, 0]
    assert one.wait("a") == pytest.approx(0.5) and one.wait("b") == 0
    clock[0] += 0.5
    assert [one.wait("a"), one.wait("a")] == [0, pytest.approx(0.5)]
    clock[0] += 1000  # it holds no more than the burst
    assert [one.wait("a") == 0 for _ in range(4)] == [True, True, True, False]
    assert not any(Rate(0.0, 1, lambda: clock[0]).wait("a") for _ in range(3)), "no rate is no limit"


def test_only_so_many_addresses_are_remembered(monkeypatch):
    monkeypatch.setattr(visitors, "KNOWN", 5)
    one = Rate(1.0, 1, lambda: 100.0)
    for number in range(50):
        assert one.wait(str(number)) == 0
    assert len(one._buckets) == 5
