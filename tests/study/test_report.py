import csv
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml

from framedose.evaluation.summary import NetworkResult
from framedose.study.figures import headline_figure, null_figure
from framedose.study.labels import number
from framedose.study.report import headline, write_report, write_tables

SETTINGS = {"preset": "quick", "seed": 4, "name": "<script>alert(1)</script>", "evaluation": {"threshold": 0.9}}


class Page(HTMLParser):
    """The tags, the addresses and the text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.addresses, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.text += data


def report(networks, folder, **changes):
    headline_figure(networks, folder / "area.png")
    null_figure(networks, folder / "null.png")
    arguments = {
        "networks": networks,
        "comparisons": {},
        "figures": [(folder / "area.png", "Area & dose <b>"), (folder / "null.png", "Null")],
        "settings": SETTINGS,
        "provenance": {"seed": 4, "versions": {"framedose": "0.1.0"}},
        "seconds": {"specimens": 12.4, "total": 754.0},
        "pixels_summed": 4,
    }
    path = write_report(folder, **(arguments | changes))
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


def test_report_needs_nothing_beside_it(networks, tmp_path):
    html = report(networks, tmp_path)
    page = Page(html)
    assert len(page.addresses) == 2
    assert all(address.startswith("data:image/png;base64,iVBOR") for address in page.addresses)
    assert not re.search(r"https?://|@import|url\(", html)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)


def test_report_holds_the_numbers(networks, tmp_path):
    text = Page(report(networks, tmp_path)).text
    for name, result in networks.items():
        assert headline(name, result) in text
        limit = result.dose_50_area
        for value in (limit.value, limit.low, limit.high, result.dose_converged, result.f1_high_dose):
            assert number(value) in text
    assert "12 min 34 s" in text
    assert "framedose: 0.1.0" in text


def test_nothing_is_left_unescaped(networks, tmp_path):
    names = {"<i>mine</i>": networks["unet"]}
    page = Page(report(names, tmp_path, provenance={"<b>": "<u>"}, seconds={"<s>": 1.0}))
    assert not {"script", "i", "u", "s"} & set(page.tags)
    assert page.tags.count("b") == 3  # the note and the numbers of two figures
    assert "<script>alert(1)</script>" in page.text
    assert "<i>mine</i> finds half" in page.text


def test_settings_can_be_given_back(networks, tmp_path):
    text = Page(report(networks, tmp_path)).text
    assert yaml.safe_load(text[text.index("preset: quick") :]) == SETTINGS


@pytest.mark.parametrize(("pixels_summed", "noted"), [(1, False), (2, False), (4, True)])
def test_summed_pixels_are_no_test_of_the_paper(networks, tmp_path, pixels_summed, noted):
    html = report(networks, tmp_path, pixels_summed=pixels_summed)
    assert ("Not a test of the paper's statements on MTF1–5" in html) == noted


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"value": 41.26, "low": 30.04, "high": 50.0},
            "half of the particle's area from 41.3 e/Å² (95 % interval: 30 to 50).",
        ),
        ({"value": 9000.0, "low": 5000.0, "high": None}, "(95 % interval: 5000 to beyond the tested doses)."),
        ({"value": 10.0, "low": 10.0, "high": 12.0, "at_or_below": True}, "area at or below 10 e/Å² ("),
        (
            {"value": None, "low": None, "high": None},
            "does not find half of the particle's area at any dose up to 10000",
        ),
    ],
)
def test_headline_says_what_is_known(networks, changes, expected):
    values = networks["unet"].model_dump()
    values["dose_50_area"] |= changes
    values |= {"dose_converged": None, "vacuum_false_area_max": 0.01, "support_false_area_max": None}
    sentence = headline("unet", NetworkResult.model_validate(values)).replace("\u00a0", " ")
    assert expected in sentence
    assert sentence.endswith("Its area converges at no tested dose.")


def test_headline_is_not_silent_about_particles_in_empty_fields(networks):
    values = networks["unet"].model_dump() | {"vacuum_false_area_max": 0.51, "support_false_area_max": 0.337}
    sentence = headline("bragg_otsu", NetworkResult.model_validate(values))
    assert sentence.endswith(
        "But it calls up to 51 % of vacuum and 34 % of bare support particle: its area is no evidence of one."
    )
    values |= {"vacuum_false_area_max": 0.001}
    assert "up to 34 % of bare support particle" in headline("unet", NetworkResult.model_validate(values))


def test_tables_come_back(networks, tmp_path):
    write_tables(tmp_path, networks)
    with (tmp_path / "curves.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["network", "dose", "quantity", "value", "low", "high"]
    for name, result in networks.items():
        band = result.curves.area_ratio
        for column, expected in (("value", band.mean), ("low", band.low), ("high", band.high)):
            found = [float(row[column]) for row in rows if (row["network"], row["quantity"]) == (name, "area_ratio")]
            assert found == expected
        false = [row for row in rows if (row["network"], row["quantity"]) == (name, "vacuum_false_area")]
        assert [float(row["value"]) for row in false] == result.curves.vacuum_false_area
        assert [float(row["dose"]) for row in false] == result.curves.doses
        assert {row["low"] for row in false} == {""}
    with (tmp_path / "limits.csv").open(newline="", encoding="utf-8") as file:
        limits = {(row["network"], row["quantity"]): row for row in csv.DictReader(file)}
    assert np.isclose(float(limits["msdnet", "dose_50_area"]["high"]), networks["msdnet"].dose_50_area.high)
    assert float(limits["unet", "f1_high_dose"]["value"]) == networks["unet"].f1_high_dose
