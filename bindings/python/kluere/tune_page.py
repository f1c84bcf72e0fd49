"""The results of a search as a page: python -m kluere tune ... --report FILE."""

from __future__ import annotations

from pathlib import Path

from . import charts, tune

_LOGARITHMIC = {"learning_rate", "epsilon"}


def write_page(study, path) -> None:
    Path(path).write_text(page(study), encoding="utf-8")


def page(study) -> str:
    rows = tune.results(study)
    metric = study.user_attrs["metric"]
    complete = [row for row in rows if row["state"] == "complete"]
    by_number = sorted(rows, key=lambda row: row["number"])
    sections = [("Result", "What the search found.", _result(rows, complete, metric))]
    if complete:
        sections.append(
            (
                "Progress",
                "Each finished trial, and the best so far. Pruned trials show the value they had reached.",
                _progress(by_number, metric),
            ),
        )
        sections.append(
            (
                "Hyperparameters",
                "One dot a finished trial. Where the high dots lie is where to look further.",
                _slices(complete, metric, tune.importances(study)),
            ),
        )
    if any(row["evaluations"] for row in rows):
        sections.append(("Learning curves", "The value at each evaluation of a trial.", _curves(by_number, metric)))
    sections.append(("Trials", "Best first.", _table(rows, metric)))
    return charts.page(
        "Hyperparameter search", f"{len(rows)} trials that ended, by {metric}. Written by kluere.", sections
    )


def _result(rows, complete, metric: str) -> str:
    if not complete:
        return '<p class="none">No trial is complete yet.</p>'
    best = complete[0]
    seconds = sum(row["seconds"] or 0 for row in rows)
    entries = [
        (f"best {metric}", f"{best['value']:.4f}", f"trial {best['number']}"),
        ("complete", str(len(complete)), f"and {len(rows) - len(complete)} pruned"),
        ("time in trials", f"{seconds / 60:.1f} min", ""),
    ]
    resident = [row["resident"] for row in rows if row["resident"]]
    if resident:
        entries.append(
            ("memory after a trial", f"{max(resident) / 2**20:.0f} MiB", f"at least {min(resident) / 2**20:.0f} MiB")
        )
    values = [
        (name, f"{value:.4g}" if isinstance(value, float) else value) for name, value in best["parameters"].items()
    ]
    return charts.cards(entries) + charts.table(["best trial", "value"], values)


def _progress(rows, metric: str) -> str:
    better = min if metric == "loss" else max
    complete = [(float(row["number"]), row["value"]) for row in rows if row["state"] == "complete"]
    best, so_far = None, []  # two points a trial: the line is a staircase
    for number, value in complete:
        if best is not None:
            so_far.append((number, best))
        best = value if best is None else better(best, value)
        so_far.append((number, best))
    points = [
        (
            float(row["number"]),
            _reached(row, better),
            0 if row["state"] == "complete" else 1,
            f"trial {row['number']} ({row['state']}): {_reached(row, better):.4f}",
        )
        for row in rows
        if row["evaluations"]
    ]
    return charts.side_by_side(
        (
            "Trials",
            charts.legend(["complete", "pruned"])
            + charts.scatter(points, "value of each trial", x_name="trial", y_name=metric, width=500, height=280),
        ),
        (
            "Best so far",
            charts.curves(
                [("best", so_far)],
                "best so far",
                x_name="trial",
                y_name=metric,
                dots=False,
                y_range=(min(y for _, y in so_far) * 0.98, max(y for _, y in so_far)),
            ),
        ),
    )


def _reached(row, better) -> float:
    return better(row["evaluations"]) if row["evaluations"] else row["value"]


def _slices(complete, metric: str, importances: dict) -> str:
    names = list(dict.fromkeys(name for row in complete for name in row["parameters"]))
    figures = []
    for name in names:
        values = [row["parameters"].get(name) for row in complete]
        if all(isinstance(value, (int, float)) for value in values):
            points = [
                (value, row["value"], 0, f"trial {row['number']}: {name} {value:.4g}, {row['value']:.4f}")
                for value, row in zip(values, complete)
            ]
            chart = charts.scatter(
                points, name, x_name=name, y_name=metric, log=name in _LOGARITHMIC and min(values) > 0
            )
        else:
            groups: dict = {}
            for value, row in zip(values, complete):
                groups.setdefault(str(value), []).append(row["value"])
            chart = charts.bars(
                [(value, [sum(group) / len(group)]) for value, group in sorted(groups.items())],
                name,
                show=lambda value: "–" if value is None else f"{value:.4f}",
                notes=[f"{len(group)} of {len(complete)}" for _, group in sorted(groups.items())],
                width=238,
            )
        figures.append((name, chart))
    result = charts.side_by_side(*figures)
    if importances:
        result += charts.side_by_side(
            (
                "What matters: share of the variation explained (PED-ANOVA)",
                charts.bars([(name, [value]) for name, value in importances.items()], "importance", width=560),
            ),
        )
    return result


def _curves(rows, metric: str) -> str:
    ranked = sorted(
        (row for row in rows if row["value"] is not None), key=lambda row: row["value"], reverse=metric != "loss"
    )
    lines = [
        (f"trial {row['number']}", [(i + 1, value) for i, value in enumerate(row["evaluations"])]) for row in ranked[:4]
    ]
    if not lines:
        return '<p class="none">No trial has been evaluated.</p>'
    return charts.legend([name for name, _ in lines]) + charts.curves(
        lines, "learning curves", x_name="evaluation", y_name=metric, width=700, height=320
    )


def _table(rows, metric: str) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row["parameters"]))
    lines = []
    for row in rows:
        shown = [row["parameters"].get(name) for name in names]
        lines.append(
            [
                row["number"],
                row["state"],
                "–" if row["value"] is None else f"{row['value']:.4f}",
                *(f"{value:.4g}" if isinstance(value, float) else value for value in shown),
                "–" if row["seconds"] is None else f"{row['seconds']:.0f} s",
                "–" if row["resident"] is None else f"{row['resident'] / 2**20:.0f} MiB",
            ]
        )
    return charts.table(["trial", "state", metric, *names, "time", "memory"], lines)
