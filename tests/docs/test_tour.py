"""docs/tour.md does what it says."""

import pytest

from tests.docs import _tour


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_commands_of_the_tour_print_what_the_page_shows(tmp_path):
    found = _tour.pages_steps(_tour.PAGE.read_text())
    printed = _tour.run(found, tmp_path)
    for step, lines in zip(found, printed, strict=True):
        lines = _tour.shown(step, lines)
        assert len(lines) == len(step.output) and all(map(_tour.same, step.output, lines)), (step, lines)
