import pytest

from digits_client.reading.layout import kind_of


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("7", "digit"),
        ("10115", "postcode"),
        ("1234", "number"),
        ("123456", "number"),
        ("12.50", "amount"),
        ("1.234,56", "amount"),
        ("0,5", "amount"),
        ("12.345", "number"),
        ("3:2", "score"),
        ("10-8", "score"),
        ("1?3", "number"),
    ],
)
def test_the_form_of_a_text_tells_its_kind(text, kind):
    assert kind_of(text) == kind
