import pytest

from digits_client.reading.layout import kind_of

KINDS = {"7": "digit", "10115": "postcode", "3:2": "score", "10-8": "score"}
KINDS |= dict.fromkeys(("12.50", "1.234,56", "0,5"), "amount")
KINDS |= dict.fromkeys(("1234", "123456", "12.345", "1?3"), "number")


@pytest.mark.parametrize(("text", "kind"), KINDS.items())
def test_the_form_of_a_text_tells_its_kind(text, kind):
    assert kind_of(text) == kind
