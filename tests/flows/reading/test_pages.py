import numpy as np
import pytest
from PIL import Image

from digits_client import BadRequest
from digits_client.reading import read
from flows.reading import pages as module
from flows.reading.pages import pages
from tests.flows.reading._scans import page, pdf, tiff
from tests.serving.client.reading._sheet import ask


def texts(path):
    return [read(picture, ask).text for _, picture in pages(path.read_bytes())]


def test_every_page_of_a_tiff_and_of_a_pdf_is_read_and_a_picture_has_one(tmp_path):
    page("81").save(tmp_path / "a.png")
    assert texts(tmp_path / "a.png") == ["81"]
    assert texts(tiff(tmp_path / "a.tif", "12", "345", "67")) == ["12", "345", "67"]
    assert texts(pdf(tmp_path / "a.pdf", "12", "345")) == ["12", "345"]


def test_a_damaged_page_does_not_stop_the_others(tmp_path):
    path = tiff(tmp_path / "a.tif", "12", "345", "67")
    data = bytearray(path.read_bytes())
    with Image.open(path) as picture:
        picture.seek(1)
        at, size = picture.tag_v2[273][0], picture.tag_v2[279][0]
    data[at : at + size] = b"\xff" * size
    found = list(pages(bytes(data)))
    assert [number for number, _ in found] == [1, 2, 3]
    assert [isinstance(each, BadRequest) for _, each in found] == [False, True, False]


def test_files_that_are_none_say_why(tmp_path, monkeypatch):
    whole = pdf(tmp_path / "a.pdf", "1", "2").read_bytes()
    refused = {b"": "empty", b"%PDF-1.7 no more": "PDF that can't be opened", b"x": "no picture"}
    for data, reason in refused.items():
        with pytest.raises(BadRequest, match=reason):
            list(pages(data))
    monkeypatch.setattr(module, "PAGES", 1)
    for data in (whole, tiff(tmp_path / "a.tif", "1", "2").read_bytes()):
        with pytest.raises(BadRequest, match="has 2 pages: expected at most 1"):
            list(pages(data))


def test_a_huge_page_of_a_pdf_is_drawn_coarser(tmp_path):
    Image.fromarray(np.full((50, 100), 200, np.uint8)).save(tmp_path / "a.pdf", resolution=0.5)
    ((_, drawn),) = pages((tmp_path / "a.pdf").read_bytes())
    assert 0.9 * module.PIXELS < drawn.size < 1.1 * module.PIXELS and (drawn == 200).all()
