from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from dbopt.stats.report.html import html
from dbopt.stats.report.model import Column, Group, Report, Section

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\" onload='x' \x1b[2J &amp;"
)
VOID = frozenset(("meta", "br", "img", "link", "input", "hr"))


class Document(HTMLParser):
    """Elements with their attributes; each that opens must close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def text(day: Report) -> str:
    return html(day)


@pytest.fixture(scope="module")
def document(text: str) -> Document:
    return Document(text)


def test_it_is_small(text: str) -> None:
    assert len(text.encode()) < 500_000


def test_it_asks_for_nothing(document: Document, text: str) -> None:
    for _, attributes in document.elements:
        for name in ("src", "srcset", "action", "data", "poster", "style", "background"):
            assert name not in attributes
        assert (attributes.get("href") or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    urls = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert {"http://www.w3.org/2000/svg"} == urls  # the name of a namespace


def test_the_policy_allows_our_own_style_and_script_alone(document: Document, text: str) -> None:
    (policy,) = [
        m["content"]
        for m in document.named("meta")
        if m.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert "'none'" == rules["default-src"]
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"'sha256-{digest}'" == rules[rule]


def test_each_link_leads_somewhere(document: Document) -> None:
    ids = [a["id"] for _, a in document.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert [] == [a["href"] for a in document.named("a") if str(a["href"])[1:] not in ids]


def test_each_chart_is_well_formed_and_says_its_values(text: str, document: Document) -> None:
    drawings = re.findall(r"<svg viewBox=\"0 0 880.*?</svg>", text, re.DOTALL)
    figures = document.named("figure")
    assert len(drawings) == len(figures) > 8
    for drawing in drawings:
        ET.fromstring(drawing)  # noqa: S314 - our own
        assert "nan" not in drawing.lower()
    for figure in figures:
        data = json.loads(str(figure["data-chart"]))
        assert all(len(data["words"]) == len(series["v"]) for series in data["series"])


def test_hostile_names_stay_text(day: Report) -> None:
    columns = (Column("q", "q", "statement"), Column("t", HOSTILE, "text"), Column("n", "n"))
    digits = "00000000000000aa"
    section = Section("x", HOSTILE, columns, ((digits, HOSTILE, 1), ("", HOSTILE, None)), HOSTILE)
    chart = replace(
        day.charts[0], title=HOSTILE, marks=((day.charts[0].times[3], HOSTILE),),
        series=tuple(replace(s, name=HOSTILE) for s in day.charts[0].series),
        limit=(HOSTILE, 1.0),
    )  # fmt: skip
    group = Group("g", HOSTILE, (chart,), (section,))
    remark = replace(day.remarks[0], title=HOSTILE, evidence=HOSTILE, remedy=HOSTILE, section="x")
    made = replace(
        day, server=HOSTILE, database=HOSTILE, verdict=HOSTILE, groups=(group,), remarks=(remark,),
        tiles=((HOSTILE, HOSTILE, HOSTILE),), notes=(HOSTILE,), unseen=((HOSTILE, HOSTILE),),
        texts={digits: f"{HOSTILE}\n{HOSTILE}"},
    )  # fmt: skip
    text = html(made)
    found = Document(text)
    assert "\x1b" not in text
    assert 1 == len(found.named("script"))
    assert [] == found.named("img")
    assert not any(name.startswith("on") for _, a in found.elements for name in a)
    shown = HOSTILE.replace("\x1b", " ")
    assert sum(shown in word for word in found.words) > 15


def test_an_empty_report() -> None:
    from dbopt.stats.report.build import build
    from tests.unit.stats.report.made import period

    found = Document(html(build(period(), "db1:5432")))
    assert any("There is no history" in word for word in found.words)


def test_many_long_statements_stay_within_bounds(day: Report) -> None:
    texts = {f"{number:016x}": "SELECT 1, " * 200 for number in range(400)}
    assert len(html(replace(day, texts=texts)).encode()) < 600_000
