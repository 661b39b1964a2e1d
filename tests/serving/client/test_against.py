"""The client against a real server: DIGITS_GRPC=HOST:PORT, DIGITS_REST=HOST:PORT name one that is running."""

import os

import pytest

from tests.serving.client._against import check

answers = {}


def test_a_running_server_answers_as_the_contract_says_and_equally_on_every_way(connect, kind):
    address = os.environ.get(f"DIGITS_{kind[0].upper()}")
    if not address:
        pytest.skip(f"DIGITS_{kind[0].upper()} names no server")
    answers[kind] = check(address, connect)
    assert answers[kind] == next(iter(answers.values()))
