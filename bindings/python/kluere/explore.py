"""python -m kluere explore: what is in the data, and what a trained model makes of it, as one self-contained page."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from . import charts
from ._statistics import divergence, statistics
from .analysis import Statistics
from .charts import percent, whole
from .dataset import Dataset

Section = Tuple[str, str, str]
_PROPERTIES = (
    ("label", "label"),
    ("source", "source"),
    ("subject type", "subject_type"),
    ("object type", "object_type"),
    ("type pair", "type_pair"),
    ("type pair of relations", "type_pair_without_no_relation"),
    ("length in characters", "characters"),
    ("length in tokens", "tokens"),
)


def page(
    files: Sequence[Tuple[str, Dataset]],
    *,
    tokenizer=None,
    model=None,
    log: Optional[Sequence[dict]] = None,
    title: str = "Relation extraction data",
    precision: str = "float32",
    progress: Optional[Callable[[int, int], None]] = None,
) -> str:
    """The page as HTML. files: one or two (name, dataset); the model is judged on the last one."""
    names = [name for name, _ in files]
    found = [statistics(dataset, tokenizer) for _, dataset in files]
    sections: List[Section] = [_overview(names, files, found)]
    if len(files) == 2:
        sections.append(_difference(found))
    sections += [_labels(names, found), _types(names, found), _sources(names, found), _lengths(names, found)]
    if model is not None:
        from .model_page import model_sections

        sections += model_sections(files[-1][0], files[-1][1], model, log or [], progress, precision)
    sections.append(_examples(files[0][1]))
    lead = " beside ".join(f"{name}: {len(dataset):,} sentences" for name, dataset in files) + ". Written by kluere."
    return charts.page(title, lead, sections)


def write_page(path, *arguments, **options) -> None:
    Path(path).write_text(page(*arguments, **options), encoding="utf-8")


# ---- data


def _share(counts: Dict, key) -> float:
    total = sum(counts.values())
    return counts.get(key, 0) / total if total else 0.0


def _name(value: Optional[str]) -> str:
    return "(none)" if value is None else str(value)


def _overview(names, files, found: List[Statistics]) -> Section:
    entries = []
    for name, one in zip(names, found):
        entries.append((name, f"{one.rows:,}", f"rows, {one.sentences:,} different sentences"))
        if one.labelled:
            entries.append(
                (
                    f"{name}: no_relation",
                    percent(_share(one.label, "no_relation")),
                    f"of {one.labelled:,} labelled rows",
                )
            )
        else:
            entries.append((name, "no labels", "all hidden"))
    if len(files) == 2:
        first, second = ({row.text for row in dataset} for _, dataset in files)
        shared = len(first & second)
        entries.append(
            ("in both files", f"{shared:,}", "sentences: what is tested was seen" if shared else "sentences")
        )
    return "Overview", "How many rows, and how many of them say nothing.", charts.cards(entries)


def _difference(found: List[Statistics]) -> Section:
    rows, table = [], []
    for name, field in _PROPERTIES:
        first, second = getattr(found[0], field), getattr(found[1], field)
        if not first or not second or (field == "label" and not (found[0].labelled and found[1].labelled)):
            continue
        bits = divergence(first, second)
        rows.append((name, [bits]))
        table.append((name, f"{bits:.4f}"))
    chart = charts.bars(
        rows,
        "Jensen-Shannon divergence",
        show=lambda bits: f"{bits:.3f} bits",
        limit=max(0.2, *(v[0] for _, v in rows)),
    )
    return (
        "How the two files differ",
        "Jensen-Shannon divergence of each distribution: 0 bits is the same, 1 bit is nothing in common. What differs "
        "here makes a model do better or worse on the second file than on held-out rows of the first.",
        chart + charts.numbers(["distribution", "bits"], table),
    )


def _labels(names, found: List[Statistics]) -> Section:
    relations = [label for label in found[0].label if label not in (None, "no_relation")]
    relations.sort(key=lambda label: -found[0].label[label])
    without = [{k: v for k, v in one.label.items() if k not in (None, "no_relation")} for one in found]
    related = charts.bars(
        [(label, [_share(one, label) for one in without]) for label in relations], "labels among relations"
    )
    every = charts.bars(
        [
            ("no_relation", [_share(one.label, "no_relation") for one in found]),
            ("a relation", [1 - _share(one.label, "no_relation") if one.labelled else 0.0 for one in found]),
        ],
        "no_relation against the rest",
        limit=1.0,
    )
    rows = [(label, *(whole(one.label.get(label, 0)) for one in found)) for label in ["no_relation", *relations]]
    return (
        "Labels",
        "First all rows, then the relations among themselves.",
        charts.legend(names) + every + "<br>" + related + charts.numbers(["label", *names], rows),
    )


def _types(names, found: List[Statistics]) -> Section:
    subjects = sorted({triple[1] for one in found for triple in one.label_types}, key=_name)
    objects = sorted({triple[2] for one in found for triple in one.label_types}, key=_name)
    figures = []
    for name, one in zip(names, found):
        for about, keep in (
            ("all rows", lambda label: True),
            ("relations", lambda label: label not in (None, "no_relation")),
        ):
            counts: Dict = {}
            for (label, subject, object_), rows in one.label_types.items():
                if keep(label):
                    counts[subject, object_] = counts.get((subject, object_), 0) + rows
            if counts:
                figures.append((f"{name}: {about}", _type_table(subjects, objects, counts)))
    return (
        "Entity types",
        "Subject types down, object types across: the share of the rows. Then which pairs of types a label has.",
        charts.side_by_side(*figures) + _label_types(names[0], found[0]),
    )


def _type_table(subjects, objects, counts: Dict) -> str:
    total, most = sum(counts.values()), max(counts.values())
    return charts.heatmap(
        [_name(subject) for subject in subjects],
        [_name(object_) for object_ in objects],
        [[counts.get((subject, object_), 0) / most for object_ in objects] for subject in subjects],
        "entity types",
        show=lambda i, j: _cell(counts.get((subjects[i], objects[j]), 0), total),
        tip=lambda i, j: f"{_name(subjects[i])}-{_name(objects[j])}: {counts.get((subjects[i], objects[j]), 0):,} rows",
        cell=62,
        corner="subject / object",
    )


def _cell(rows: int, total: int) -> str:
    return f"{100 * rows / total:.1f} %" if rows else ""


def _label_types(name: str, one: Statistics) -> str:
    pairs = sorted(
        {(subject, object_) for _, subject, object_ in one.label_types}, key=lambda pair: tuple(map(_name, pair))
    )
    labels = sorted((label for label, rows in one.label.items() if rows and label), key=lambda label: -one.label[label])
    if not labels:
        return ""

    def rows(i: int, j: int) -> int:
        return one.label_types.get((labels[i], *pairs[j]), 0)

    chart = charts.heatmap(
        labels,
        [f"{_name(subject)}-{_name(object_)}" for subject, object_ in pairs],
        [[rows(i, j) / one.label[labels[i]] for j in range(len(pairs))] for i in range(len(labels))],
        "labels and entity types",
        show=lambda i, j: f"{rows(i, j)}" if rows(i, j) else "",
        tip=lambda i, j: f"{labels[i]}, {_name(pairs[j][0])}-{_name(pairs[j][1])}: {rows(i, j):,} rows",
        cell=44,
    )
    return charts.side_by_side((f"{name}: rows of each label by pair of types, coloured by share of the label", chart))


def _sources(names, found: List[Statistics]) -> Section:
    figures = []
    for title, field in (("source", "source"), ("subject type", "subject_type"), ("object type", "object_type")):
        values = [value for value in getattr(found[0], field)]
        values += [value for one in found[1:] for value in getattr(one, field) if value not in values]
        rows = [(_name(value), [_share(getattr(one, field), value) for one in found]) for value in values]
        figures.append((title, charts.bars(rows, title, width=325)))
    return (
        "Sources and types",
        "Where the sentences come from, and what the entities are.",
        charts.legend(names) + charts.side_by_side(*figures),
    )


def _lengths(names, found: List[Statistics]) -> Section:
    figures, rows = [], []
    for title, field in (("characters", "characters"), ("tokens", "tokens")):
        counts = [getattr(one, field) for one in found]
        if not all(counts):
            continue
        figures.append((title, _length_curves(names, counts, title)))
        for name, one in zip(names, counts):
            rows.append(
                (f"{name}, {title}", *(whole(_quantile(one, share)) for share in (0, 0.25, 0.5, 0.75, 0.95, 0.99, 1)))
            )
    return (
        "Lengths",
        "Share of the sentences by length. What lies beyond a model's limit is cropped around the entities.",
        charts.legend(names)
        + charts.side_by_side(*figures)
        + charts.table(["", "shortest", "25 %", "median", "75 %", "95 %", "99 %", "longest"], rows),
    )


def _length_curves(names, counts: Sequence[Dict[int, int]], title: str) -> str:
    # The longest percent would press all others together; it is in the table.
    last = max(_quantile(one, 0.995) for one in counts)
    width = max(1, round(last / 40))
    series = []
    for name, one in zip(names, counts):
        total = sum(one.values())
        bins: Dict[int, int] = {}
        for length, rows in one.items():
            bins[length // width] = bins.get(length // width, 0) + rows
        series.append(
            (name, [((i + 0.5) * width, bins.get(i, 0) / total / width) for i in range(int(last // width) + 1)])
        )
    return charts.curves(
        series,
        title,
        x_name=title,
        y_name="share of the sentences with each length",
        dots=False,
        show_y=lambda share: f"{100 * share:.2g} %",
        x_range=(0, last),
    )


def _quantile(counts: Dict[int, int], share: float) -> int:
    """The smallest length that at least this share of the rows does not exceed."""
    wanted, seen = share * sum(counts.values()), 0
    for length in sorted(counts):
        seen += counts[length]
        if seen >= wanted:
            return length
    return max(counts)


# ---- sentences


def marked(row) -> str:
    """The sentence with its two entities underlined."""
    spans = sorted(((row.subject, "subject"), (row.object, "object")), key=lambda span: span[0].begin)
    parts, place = [], 0
    for entity, role in spans:
        if entity.begin < place:  # overlapping: the first is shown
            continue
        parts.append(html.escape(row.text[place : entity.begin]))
        parts.append(
            f'<mark class="{role}" title="{role} {html.escape(_name(entity.type), quote=True)}">'
            f"{html.escape(row.text[entity.begin : entity.end])}</mark>"
        )
        place = entity.end
    return "".join(parts) + html.escape(row.text[place:])


def example_list(entries: Sequence[Tuple[str, object]]) -> str:
    """(what is said above it, row)"""
    items = "".join(f"<li><small>{charts.escape(about)}</small>{marked(row)}</li>" for about, row in entries)
    return f'<ul class="examples">{items}</ul>'


def _examples(dataset: Dataset) -> Section:
    """Of each label the first sentence that is short enough to be read at a glance, else its shortest."""
    best: Dict[Optional[str], object] = {}
    for row in dataset:
        have = best.get(row.label)
        if have is None or (len(have.text) > 90 and len(row.text) < len(have.text)):
            best[row.label] = row
    order = {label: i for i, label in enumerate(dataset.labels)}
    entries = [
        (f"{_name(label)} · {_name(row.subject.type)} – {_name(row.object.type)}", row)
        for label, row in sorted(best.items(), key=lambda item: order.get(item[0], len(order)))
    ]
    return (
        "One sentence of each label",
        "The subject is underlined in the first colour, the object in the second.",
        charts.legend(["subject", "object"]) + example_list(entries),
    )
