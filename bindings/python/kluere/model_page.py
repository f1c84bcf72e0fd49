"""What a trained model makes of labelled rows: the sections of the explore page after training."""

from __future__ import annotations

import math
from typing import Callable, List, Optional, Sequence, Tuple

from . import charts
from .charts import percent
from .dataset import Dataset
from .evaluation import bootstrap, calibration, compute_metrics_by_group, coverage_risk, type_pairs
from .metrics import compute_metrics, no_relation_of, score

Section = Tuple[str, str, str]
_WORST = 12


def model_sections(
    name: str, dataset: Dataset, model, log: Sequence[dict], progress: Optional[Callable[[int, int], None]] = None,
    precision: str = "float32",
) -> List[Section]:
    """The model's figures on the rows of `dataset` that have a label."""
    labels = model.labels
    scores, truth, rows = score(model, dataset, precision=precision, progress=progress)
    no_relation = no_relation_of(labels)
    metrics = compute_metrics(scores, truth, label_names=labels, no_relation=no_relation)
    sections = [_figures(name, metrics, scores, truth, no_relation)]
    if log:
        sections.append(_learning(log))
    sections.append(_classes(metrics))
    sections.append(_confusion(labels, metrics, truth))
    sections.append(_pairs(rows, scores, truth, no_relation))
    sections.append(_confidence(scores, truth, no_relation))
    sections.append(_errors(labels, rows, scores, truth))
    return sections


def _figures(name: str, metrics, scores, truth, no_relation) -> Section:
    found = bootstrap(scores, truth, no_relation=no_relation)
    entries = [
        (title, f"{100 * found[key].value:.2f}", f"95 %: {100 * found[key].low:.2f} – {100 * found[key].high:.2f}")
        for title, key in (("micro-F1", "micro_f1"), ("AUPRC", "auprc"), ("accuracy", "accuracy"))
    ]
    entries.append(("precision", f"{100 * metrics.micro_precision:.2f}", "of predicted relations"))
    entries.append(("recall", f"{100 * metrics.micro_recall:.2f}", "of the relations there are"))
    if metrics.missing_classes:
        entries.append(("labels without a row", str(metrics.missing_classes), "left out of AUPRC"))
    return (
        f"The model on {name}",
        f"{metrics.rows:,} rows. The intervals are bootstrapped: differences inside them are nothing to act on.",
        charts.cards(entries),
    )


def _learning(log: Sequence[dict]) -> Section:
    evaluations = [entry for entry in log if entry.get("kind") == "evaluation"]
    training = [entry for entry in log if entry.get("kind") == "training"]

    def line(entries, key):
        return [(entry["step"], entry[key]) for entry in entries if isinstance(entry.get(key), (int, float))]

    figures = [
        (
            "Loss",
            charts.legend(["training", "held out"])
            + charts.curves(
                [("training", line(training, "loss")), ("held out", line(evaluations, "loss"))],
                "loss",
                x_name="update",
                y_name="mean cross-entropy",
                dots=False,
            ),
        )
    ]
    if evaluations:
        series = [("micro-F1", line(evaluations, "micro_f1")), ("AUPRC", line(evaluations, "auprc"))]
        figures.append(
            (
                "Held out",
                charts.legend([title for title, _ in series])
                + charts.curves(
                    series, "held out", x_name="update", y_name="fraction of 1", dots=len(evaluations) <= 30
                ),
            )
        )
    return (
        "Learning curves",
        "The training loss is the mean since the point before, with dropout; a held-out loss that rises while the "
        "training loss falls is over-fitting.",
        charts.side_by_side(*figures),
    )


def _classes(metrics) -> Section:
    rows = sorted((row for row in metrics.per_class if row.support), key=lambda row: -row.support)
    chart = charts.bars(
        [(row.label, [row.f1, _number(row.auprc)]) for row in rows],
        "figures of each label",
        limit=1.0,
        notes=[f"{row.support:,} rows" for row in rows],
    )
    table = [
        (row.label, *map(percent, (row.precision, row.recall, row.f1, row.auprc)), row.support, row.predicted)
        for row in rows
    ]
    return (
        "Each label",
        "Labels with many rows first. A label with few rows has a figure that a handful of rows decides.",
        charts.legend(["F1", "AUPRC"])
        + chart
        + charts.numbers(["label", "precision", "recall", "F1", "AUPRC", "rows", "predicted"], table),
    )


def _number(value: float) -> Optional[float]:
    return None if math.isnan(value) else value


def _confusion(labels: Sequence[str], metrics, truth: Sequence[int]) -> Section:
    table = [[int(value) for value in row] for row in metrics.confusion]
    totals = [sum(row) for row in table]
    columns = [sum(row[j] for row in table) for j in range(len(labels))]
    order = sorted((i for i in range(len(labels)) if totals[i] or columns[i]), key=lambda i: (-totals[i], -columns[i]))
    chart = charts.heatmap(
        [labels[i] for i in order],
        [labels[i] for i in order],
        [[table[i][j] / totals[i] if totals[i] else 0 for j in order] for i in order],
        "confusion matrix",
        show=lambda i, j: str(table[order[i]][order[j]] or ""),
        tip=lambda i, j: f"{labels[order[i]]} taken for {labels[order[j]]}: {table[order[i]][order[j]]:,} of "
        f"{totals[order[i]]:,}",
        cell=27,
        corner="truth / predicted",
    )
    pairs = [(table[i][j], i, j) for i in order for j in order if i != j and table[i][j]]
    pairs.sort(key=lambda entry: -entry[0])
    worst = [(f"{labels[i]} → {labels[j]}", rows, percent(rows / totals[i])) for rows, i, j in pairs[:_WORST]]
    return (
        "What is taken for what",
        "Each row is a label, coloured by the share of its rows; the numbers are rows. The diagonal is right.",
        chart + charts.numbers(["truth → predicted", "rows", "of the label"], worst, "Most frequent mistakes"),
    )


def _pairs(rows: Dataset, scores, truth, no_relation) -> Section:
    found = compute_metrics_by_group(scores, truth, *type_pairs(rows), no_relation=no_relation)
    ranked = sorted(found.items(), key=lambda item: -item[1].rows)
    chart = charts.bars(
        [(name, [one.micro_f1, one.accuracy]) for name, one in ranked],
        "entity types",
        limit=1.0,
        notes=[f"{one.rows:,} rows" for _, one in ranked],
    )
    return "Entity types", "The same figures by pair of entity types.", charts.legend(["micro-F1", "accuracy"]) + chart


def _confidence(scores, truth, no_relation) -> Section:
    found = calibration(scores, truth, bins=10)
    points = [(one.confidence, one.accuracy) for one in found.bins if one.rows]
    coverage = coverage_risk(scores, truth, points=50, no_relation=no_relation)
    reliability = charts.curves(
        [("accuracy", points)],
        "calibration",
        x_name="confidence",
        y_name="accuracy of rows with such confidence",
        diagonal=True,
        width=430,
        height=340,
        y_range=(0, 1),
        x_range=(0, 1),
    )
    kept = charts.curves(
        [
            ("wrong", [(one.coverage, one.risk) for one in coverage.points]),
            ("micro-F1", [(one.coverage, one.micro_f1) for one in coverage.points]),
        ],
        "coverage",
        x_name="share of the rows that are answered, the surest first",
        y_name="of them",
        dots=False,
        width=480,
        height=340,
        y_range=(0, 1),
        x_range=(0, 1),
    )
    return (
        "How far its confidence can be trusted",
        f"Expected calibration error {found.ece:.4f}, area under the coverage-risk curve {coverage.aurc:.4f}. On the "
        "dashed line a confidence of 80 % is right in 80 % of the cases; below it the model is too sure.",
        charts.side_by_side(("Calibration", reliability), ("Coverage", charts.legend(["wrong", "micro-F1"]) + kept)),
    )


def _errors(labels: Sequence[str], rows: Dataset, scores, truth: Sequence[int]) -> Section:
    from .explore import example_list

    wrong = []
    for number, (row, label) in enumerate(zip(scores, truth)):
        best = max(range(len(labels)), key=row.__getitem__)
        if best != label:
            wrong.append((float(row[best]), number, best))
    wrong.sort(reverse=True)
    entries = [
        (f"{labels[truth[number]]} taken for {labels[best]} with {percent(sure)}", rows[number])
        for sure, number, best in wrong[:_WORST]
    ]
    return (
        "Where it is sure and wrong",
        "Some of these are mistakes of the labels.",
        charts.legend(["subject", "object"]) + example_list(entries) if entries else '<p class="none">None.</p>',
    )
