"""Addresses as messages show them: no part of a secret, however the address is mistyped."""

import pytest

from digits.runtime.addresses import shown, without_secrets

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://host/mnist/", "https://host/mnist/"),
        ("sqlite:////srv/feedback.db", "sqlite:////srv/feedback.db"),
        ("/data/me@work/mnist", "/data/me@work/mnist"),
        ("http://user:s3cr3t@host/x", "http://***@host/x"),
        ("https://s3cr3t@host/x", "https://***@host/x"),
        ("ftp://user:s3cr3t@host", "ftp://***@host"),
        ("  postgresql://user:s3cr3t@host/db", "postgresql://***@host/db"),
        ("\tpostgresql:/user:s3cr3t@host/db", "postgresql:/***@host/db"),
        ("postgresql://user:s3cr3t@h:notaport/db", "postgresql://***@h:notaport/db"),
        ("postgresql://host/db?user=me&password=s3cr3t", "postgresql://host/db?***"),
        ("https://host/mnist?token=s3cr3t", "https://host/mnist?***"),
        ("http://user:s3cr3t@[::1", "http://***@[::1"),
        ("http://user:s3/cr3t@host/x", "http://***@host/x"),
        ("http://user:s3?cr3t@host/x", "http://***"),
        ("http://host/x?password=s3@cr3t", "http://***"),
        ("user:s3cr3t@host/x", "***@host/x"),
        ("mailto:user:s3cr3t@host", "***@host"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address, expected):
    assert shown(address) == expected
    assert SECRET not in expected and "cr3t" not in expected


def test_addresses_in_the_text_of_another_program_are_shown_so_too():
    said = "fatal: unable to access 'https://me:s3cr3t@host/x.git/': no route; see https://host/help?a=b"
    clean = "fatal: unable to access 'https://***@host/x.git/': no route; see https://host/help?***"
    assert without_secrets(said) == clean
    assert without_secrets("it took 3:20 @ home") == "it took 3:20 @ home"
