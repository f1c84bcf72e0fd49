"""Charts as inline SVG, and the page around them. Nothing but the standard library; nothing is fetched.

Text stays text in the reader's own fonts, so Korean is readable wherever a system can show Korean at all. Colours come
from the page's style sheet, which has a light and a dark set.
"""

from __future__ import annotations

import html
import math
import unicodedata
from typing import Callable, List, Optional, Sequence, Tuple

Number = Optional[float]
_SIZE = 12  # of text, in pixels


def escape(text: object) -> str:
    return html.escape(str(text), quote=True)


def text_width(text: str, size: float = _SIZE) -> float:
    """About how wide the text is, on the wide side of common fonts. Korean characters are as wide as high."""

    def share(character: str) -> float:
        if unicodedata.east_asian_width(character) in "WF":
            return 1.0
        if character.isupper() or character in "mwMW%":
            return 0.8
        return 0.4 if character in "iljtf.,:;'| -" else 0.63

    return size * sum(map(share, str(text)))


def percent(value: Number, digits: int = 1) -> str:
    return "–" if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def whole(value: Number) -> str:
    return "–" if value is None else f"{value:,.0f}"


def ticks(low: float, high: float, count: int = 5) -> List[float]:
    """Round numbers from at most `low` to at least `high`."""
    if not high > low:
        high = low + 1
    step = (high - low) / count
    power = 10 ** math.floor(math.log10(step))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, last + 1)]


def short(value: float) -> str:
    """A tick's number."""
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def _text(x: float, y: float, text: object, kind: str = "", anchor: str = "start", more: str = "") -> str:
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}{more}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def legend(names: Sequence[str]) -> str:
    """The colours of the series, above a chart."""
    return (
        '<p class="legend">'
        + "".join(f'<span><i class="b{i % 4}"></i>{escape(name)}</span>' for i, name in enumerate(names))
        + "</p>"
    )


def alone(chart: str, names: Sequence[str] = ()) -> str:
    """A chart as a file of its own: with its style, and with a legend of these series in its upper right corner."""
    first, rest = chart.split(">", 1)
    width = float(first.split('width="', 1)[1].split('"', 1)[0])
    parts = ['<rect width="100%" height="100%" fill="var(--paper)"/>']
    for place, name in enumerate(names):
        y = 14 + 18 * place
        parts.append(f'<rect x="{width - 120:.0f}" y="{y}" width="11" height="11" rx="2" class="b{place % 4}"/>')
        parts.append(_text(width - 103, y + 10, name))
    head = first.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f"{head}><style>{_STYLE}</style>{parts[0]}{rest[: -len('</svg>')]}{''.join(parts[1:])}</svg>\n"


def bars(
    rows: Sequence[Tuple[str, Sequence[Number]]],
    title: str,
    *,
    show: Callable[[Number], str] = percent,
    notes: Optional[Sequence[str]] = None,
    width: float = 760,
    limit: Optional[float] = None,
) -> str:
    """Horizontal bars, one for each series in each row, with their values. notes: a text at the end of each row."""
    if not rows:
        return ""
    series = max(len(values) for _, values in rows)
    thick = 15 if series == 1 else 11
    step = thick * series + 9
    gutter = max(text_width(label) for label, _ in rows) + 12
    note = max([text_width(text, 11) for text in notes or [""]]) + (14 if notes else 0)
    figure = max(text_width(show(value), 11) for _, values in rows for value in values) + 10
    room = max(80.0, width - gutter - figure - note)
    top = limit or max([value for _, values in rows for value in values if _is_number(value)] + [1e-12])
    parts = []
    for place, (label, values) in enumerate(rows):
        y = place * step + 4
        parts.append(_text(gutter - 8, y + thick * series / 2 + 4, label, anchor="end"))
        for number, value in enumerate(values):
            length = room * min(1.0, value / top) if _is_number(value) else 0
            at = y + number * thick
            parts.append(
                f'<rect x="{gutter:.1f}" y="{at:.1f}" width="{max(length, 0.5):.1f}" height="{thick - 2}" rx="2" '
                f'class="b{number % 4}"><title>{escape(label)}: {escape(show(value))}</title></rect>'
            )
            parts.append(_text(gutter + length + 5, at + thick - 3.5, show(value), "small"))
        if notes:
            parts.append(_text(width, y + thick * series / 2 + 4, notes[place], "small", "end"))
    height = len(rows) * step + 4
    parts.insert(0, _line(gutter, 0, gutter, height, "axis"))
    return _svg(width, height, parts, title)


def _is_number(value: Number) -> bool:
    return value is not None and math.isfinite(value)


def heatmap(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[Number]],
    title: str,
    *,
    show: Callable[[int, int], str],
    tip: Callable[[int, int], str],
    cell: float = 24,
    corner: str = "",
) -> str:
    """A table of cells, 0 to 1 from no colour to full. show: the text of a cell, "" for none; tip: its tooltip."""
    flat = all(text_width(name, 11) <= cell - 4 for name in columns)
    left = max([text_width(name) for name in rows] + [text_width(corner, 11)]) + 12
    widest = max(text_width(name, 11) for name in columns)
    # Column names that do not fit above their column lean by 55 degrees.
    top = 22 if flat else widest * 0.82 + 16
    right = 6 if flat else max(6.0, widest * 0.57 - cell / 2 + 6)
    tall = min(cell, 26)
    parts = [_text(left - 8, top - 8, corner, "small", "end")] if corner else []
    for number, name in enumerate(columns):
        x = left + (number + 0.5) * cell
        if flat:
            parts.append(_text(x, top - 8, name, "small", "middle"))
        else:
            turn = f' transform="rotate(-55 {x:.1f} {top - 6:.1f})"'
            parts.append(_text(x, top - 6, name, "small", "start", turn))
    for i, name in enumerate(rows):
        y = top + i * tall
        parts.append(_text(left - 8, y + tall / 2 + 4, name, anchor="end"))
        for j, value in enumerate(values[i]):
            x = left + j * cell
            strength = min(1.0, max(0.0, value)) if _is_number(value) else 0.0
            parts.append(
                f'<g><title>{escape(tip(i, j))}</title><rect x="{x + 0.5:.1f}" y="{y + 0.5:.1f}" '
                f'width="{cell - 1:.1f}" height="{tall - 1:.1f}" class="cell"/>'
                + (
                    f'<rect x="{x + 0.5:.1f}" y="{y + 0.5:.1f}" width="{cell - 1:.1f}" height="{tall - 1:.1f}" '
                    f'class="b0" fill-opacity="{strength:.3f}"/>'
                    if strength > 0
                    else ""
                )
                + (
                    _text(x + cell / 2, y + tall / 2 + 3.5, show(i, j), "on" if strength > 0.55 else "tiny", "middle")
                    if show(i, j)
                    else ""
                )
                + "</g>"
            )
    return _svg(left + len(columns) * cell + right, top + len(rows) * tall + 4, parts, title)


def curves(
    series: Sequence[Tuple[str, Sequence[Tuple[float, float]]]],
    title: str,
    *,
    x_name: str,
    y_name: str,
    width: float = 505,
    height: float = 280,
    dots: bool = True,
    diagonal: bool = False,
    show_y: Callable[[float], str] = short,
    y_range: Optional[Tuple[float, float]] = None,
    x_range: Optional[Tuple[float, float]] = None,
) -> str:
    """Lines through points, one for each series."""
    points = [point for _, line in series for point in line if all(map(math.isfinite, point))]
    if not points:
        return '<p class="none">nothing to draw</p>'
    x_ticks = ticks(*(x_range or (min(x for x, _ in points), max(x for x, _ in points))))
    y_ticks = ticks(*(y_range or (min(0.0, *(y for _, y in points)), max(y for _, y in points))))
    gutter = max(text_width(show_y(tick), 11) for tick in y_ticks)
    frame = _Frame(x_ticks, y_ticks, width, height, gutter, text_width(short(x_ticks[-1]), 11))
    parts = frame.axes(short, show_y, x_name, y_name)
    if diagonal:
        parts.append(_line(frame.x(0), frame.y(0), frame.x(1), frame.y(1), "dashed"))
    for number, (name, line) in enumerate(series):
        line = [point for point in line if all(map(math.isfinite, point))]
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" class="l{number % 4}"/>')
        if dots:
            parts += [
                f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3" class="b{number % 4}">'
                f"<title>{escape(name)}: {escape(x_name)} {short(x)}, {escape(show_y(y))}</title></circle>"
                for x, y in line
            ]
    return _svg(width, height, parts, title)


def scatter(
    points: Sequence[Tuple[float, float, int, str]],
    title: str,
    *,
    x_name: str,
    y_name: str,
    log: bool = False,
    width: float = 238,
    height: float = 200,
) -> str:
    """points: (x, y, colour, tooltip). log: x by its logarithm."""

    def place(x: float) -> float:
        return math.log10(x) if log else x

    if not points:
        return '<p class="none">nothing to draw</p>'
    xs, ys = [place(point[0]) for point in points], [point[1] for point in points]
    x_ticks = (
        [float(i) for i in range(math.floor(min(xs)), math.ceil(max(xs)) + 1)] if log else ticks(min(xs), max(xs), 3)
    )
    if log and len(x_ticks) < 2:
        x_ticks.append(x_ticks[0] + 1)
    while log and len(x_ticks) > 5:
        x_ticks = x_ticks[::2] + ([x_ticks[-1]] if len(x_ticks) % 2 == 0 else [])
    y_ticks = ticks(min(ys), max(ys), 4)
    gutter = max(text_width(short(tick), 11) for tick in y_ticks)
    frame = _Frame(x_ticks, y_ticks, width, height, gutter, text_width(short(x_ticks[-1]), 11))
    parts = frame.axes((lambda tick: f"1e{tick:.0f}") if log else short, short, x_name, y_name)
    parts += [
        f'<circle cx="{frame.x(place(x)):.1f}" cy="{frame.y(y):.1f}" r="4" class="b{colour % 4} dot">'
        f"<title>{escape(tip)}</title></circle>"
        for x, y, colour, tip in points
    ]
    return _svg(width, height, parts, title)


class _Frame:
    """Where numbers lie inside a chart with axes."""

    def __init__(self, x_ticks, y_ticks, width: float, height: float, gutter: float, last: float) -> None:
        """gutter: the widest text at the left; last: the width of the last text below."""
        self.x_ticks, self.y_ticks = x_ticks, y_ticks
        self.left, self.right, self.top, self.bottom = gutter + 14, width - max(16.0, last / 2 + 2), 24, height - 38

    def x(self, value: float) -> float:
        low, high = self.x_ticks[0], self.x_ticks[-1]
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def axes(self, show_x, show_y, x_name: str, y_name: str) -> List[str]:
        parts = [_text(2, 12, y_name, "small")]
        for tick in self.y_ticks:
            parts.append(_line(self.left, self.y(tick), self.right, self.y(tick)))
            parts.append(_text(self.left - 6, self.y(tick) + 4, show_y(tick), "small", "end"))
        wide = max(text_width(show_x(tick), 11) for tick in self.x_ticks) + 8
        every = max(1, math.ceil(wide * (len(self.x_ticks) - 1) / (self.right - self.left)))
        for tick in self.x_ticks[::every]:
            parts.append(_text(self.x(tick), self.bottom + 16, show_x(tick), "small", "middle"))
        parts.append(_line(self.left, self.bottom, self.right, self.bottom, "axis"))
        parts.append(_text((self.left + self.right) / 2, self.bottom + 33, x_name, "small", "middle"))
        return parts


# ---- the page


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The first column is text, the others are numbers."""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>'


def numbers(head: Sequence[str], rows: Sequence[Sequence[object]], name: str = "Numbers") -> str:
    """A table that is folded away under its chart."""
    return f"<details><summary>{escape(name)}</summary>{table(head, rows)}</details>"


def cards(entries: Sequence[Tuple[str, str, str]]) -> str:
    """Large figures: (name, figure, what stands below it)."""
    return (
        '<div class="cards">'
        + "".join(
            f"<div><small>{escape(name)}</small><b>{escape(figure)}</b><span>{escape(below)}</span></div>"
            for name, figure, below in entries
        )
        + "</div>"
    )


def side_by_side(*charts: Tuple[str, str]) -> str:
    """Charts with their headings, beside one another where there is room."""
    return (
        '<div class="side">'
        + "".join(f"<figure><figcaption>{escape(name)}</figcaption>{chart}</figure>" for name, chart in charts)
        + "</div>"
    )


def page(title: str, lead: str, sections: Sequence[Tuple[str, str, str]]) -> str:
    """A whole HTML file. sections: (heading, a sentence about it, content)."""
    links = "".join(f'<a href="#s{i}">{escape(name)}</a>' for i, (name, _, _) in enumerate(sections))
    body = "".join(
        f'<section id="s{i}"><h2>{escape(name)}</h2><p>{escape(about)}</p>{content}</section>'
        for i, (name, about, content) in enumerate(sections)
    )
    return (
        '<!DOCTYPE html>\n<html lang="ko"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>{escape(title)}</h1><p>{escape(lead)}</p><nav>{links}</nav></header>"
        f"<main>{body}</main></body></html>\n"
    )


_STYLE = """
:root{--paper:#fff;--ink:#1c2430;--soft:#5b6675;--rule:#e3e7ec;--wash:#f5f7f9;--c0:#2767ae;--c1:#d9722e;--c2:#2f8f6f;
--c3:#8a5aa5}
@media(prefers-color-scheme:dark){:root{--paper:#14181e;--ink:#e6eaf0;--soft:#9aa6b5;--rule:#2b333e;--wash:#1b2129;
--c0:#6ca6e6;--c1:#f0975a;--c2:#5dc09d;--c3:#bd92d6}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);line-height:1.55;font-size:15px;
font-family:system-ui,-apple-system,"Segoe UI","Apple SD Gothic Neo","Malgun Gothic","Noto Sans KR",
"Noto Sans CJK KR","NanumGothic",sans-serif}
header,main{max-width:1120px;margin:0 auto;padding:0 24px}
header{padding-top:36px}
h1{font-size:27px;line-height:1.25;margin:0 0 6px}
header p,section>p{color:var(--soft);margin:0 0 14px;max-width:78ch}
nav{display:flex;flex-wrap:wrap;gap:6px 18px;padding:10px 0;border-bottom:1px solid var(--rule)}
nav a{color:var(--c0);text-decoration:none}
nav a:hover{text-decoration:underline}
section{padding:26px 0 8px}
h2{font-size:20px;margin:0 0 4px}
svg{max-width:100%;height:auto;display:block;font-family:inherit}
svg text{font-size:12px;fill:var(--ink)}
svg .small{font-size:11px;fill:var(--soft)}
svg .tiny{font-size:9.5px;fill:var(--ink)}
svg .on{font-size:9.5px;fill:var(--paper)}
.b0{fill:var(--c0);background:var(--c0)}.b1{fill:var(--c1);background:var(--c1)}
.b2{fill:var(--c2);background:var(--c2)}.b3{fill:var(--c3);background:var(--c3)}
.l0,.l1,.l2,.l3{fill:none;stroke-width:2;stroke:var(--c0)}
.l1{stroke:var(--c1)}.l2{stroke:var(--c2)}.l3{stroke:var(--c3)}
.dot{fill-opacity:.8}
.grid{stroke:var(--rule)}.axis{stroke:var(--soft)}.dashed{stroke:var(--soft);stroke-dasharray:4 4}
.cell{fill:var(--wash)}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 8px!important}
.legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:7px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(165px,1fr));gap:12px;margin:6px 0 18px}
.cards div{background:var(--wash);border:1px solid var(--rule);border-radius:8px;padding:11px 14px}
.cards small,.cards span{display:block;color:var(--soft);font-size:12.5px}
.cards b{display:block;font-size:23px;line-height:1.35;font-weight:650}
.side{display:flex;flex-wrap:wrap;gap:20px 36px;align-items:flex-start;margin:6px 0 12px}
figure{margin:0;max-width:100%}
figcaption{font-weight:600;margin-bottom:6px}
details{margin:8px 0}
summary{cursor:pointer;color:var(--soft)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;margin:8px 0;font-variant-numeric:tabular-nums}
th,td{padding:3px 12px 3px 0;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
th:first-child,td:first-child{text-align:left}
.examples{list-style:none;padding:0;margin:0}
.examples li{padding:7px 0;border-bottom:1px solid var(--rule)}
.examples small{color:var(--soft);display:block}
mark{background:none;color:inherit;border-bottom:3px solid var(--c0)}
mark.object{border-bottom-color:var(--c1)}
.none{color:var(--soft)}
@media print{nav{display:none}section{break-inside:avoid}}
"""
