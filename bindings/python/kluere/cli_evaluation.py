"""python -m kluere compare|ensemble|explore, and what evaluate prints."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import List, Sequence

from ._arrays import numpy
from .cli_common import add_data_options, model_folder, open_context, precision_of, read_data
from .context import Context
from .dataset import Dataset
from .ensemble import combine, rank, read_submission, rows_in, search_weights, write_submission
from .evaluation import bootstrap, calibration, compare, compute_metrics_by_group, coverage_risk, type_pairs
from .explore import write_page
from .metrics import compute_metrics, no_relation_of
from .model import Model
from .pipeline import FILE_NAME as PIPELINE_FILE
from .pipeline import Pipeline
from .progress import ProgressBar
from .tokenizer import Tokenizer
from .training_log import read_log

_FIGURES = ("micro_f1", "auprc", "accuracy")


# ---- evaluate


def print_metrics(options, labels: List[str], scores, truth: Sequence[int], dataset: Dataset) -> None:
    """What `evaluate` says about scores: in words, or as one JSON object."""
    conventions = dict(no_relation=no_relation_of(labels), missing_class=options.missing_class)
    metrics = compute_metrics(scores, truth, label_names=labels, **conventions)
    intervals = bootstrap(scores, truth, _FIGURES, **conventions) if options.intervals else {}
    groups = compute_metrics_by_group(scores, truth, *type_pairs(dataset), **conventions) if options.by_types else {}
    if options.json:
        result = metrics.as_dict(per_class=options.per_class)
        if intervals:
            result["intervals"] = {name: [one.low, one.high] for name, one in intervals.items()}
        if groups:
            result["by_types"] = {name: one.as_dict() for name, one in groups.items()}
        print(json.dumps(result, ensure_ascii=False))
        return
    print(metrics)
    for name, one in intervals.items():
        print(f"  {name:9} {one}  (95 % interval)")
    if options.per_class:
        print(metrics.table())
    if groups:
        print("types     micro-F1   AUPRC    rows")
        for name, one in sorted(groups.items(), key=lambda item: -item[1].rows):
            print(f"{name:8}  {100 * one.micro_f1:8.2f}  {100 * one.auprc:6.2f}  {one.rows:>6}")


# ---- members: models, folders of models, submissions, arrays


def load_member(
    path: str, dataset: Dataset, context: Context, by_id: Dataset, order: Sequence[int], precision: str = "float32"
):
    """Probabilities for the rows of `dataset` in its label order.

    path   a model folder; a folder of model folders (their mean: the models of k folds); a submission CSV; a .npy
    by_id  the dataset whose ids a submission goes by; order: its row for each row of `dataset`
    """
    place = Path(path)
    if place.suffix == ".csv":
        table, _ = read_submission(place, by_id)
        return [table[i] for i in order]
    if place.suffix == ".npy":
        if numpy() is None:
            raise ImportError("reading .npy needs NumPy: pip install numpy")
        table = numpy().load(place, allow_pickle=False)
        if table.shape != (len(dataset), len(dataset.labels)):
            raise ValueError(f"{path}: shape {table.shape}, expected ({len(dataset)}, {len(dataset.labels)})")
        return table
    if (place / PIPELINE_FILE).exists():
        with Pipeline.open(place, precision=precision, context=context) as pipeline:
            return _in_order(pipeline, dataset, path, precision)
    folder = Path(model_folder(path))
    if (folder / "config.json").exists():
        return _predictions(folder, dataset, context, precision)
    folds = sorted(Path(model_folder(str(one))) for one in place.iterdir() if one.is_dir()) if place.is_dir() else []
    folds = [one for one in folds if (one / "config.json").exists()]
    if not folds:
        raise ValueError(f"{path}: no model folder, no folder of models, no .csv and no .npy")
    return combine([_predictions(one, dataset, context, precision) for one in folds])


def _predictions(folder: Path, dataset: Dataset, context: Context, precision: str):
    with Model.open(folder, context=context) as model:
        return _in_order(model, dataset, folder, precision)


def _in_order(model, dataset: Dataset, where, precision: str):
    """Probabilities in the dataset's label order."""
    own, wanted = model.labels, dataset.labels
    if sorted(own) != sorted(wanted):
        raise ValueError(f"{where}: the model's labels are not those of the data")
    columns = [own.index(label) for label in wanted]
    table = model.predict(dataset, precision=precision)
    return [[row[column] for column in columns] for row in table] if columns != list(range(len(own))) else table


def _load(options):
    """(dataset, label indices, rows that have a label, members as loaders)."""
    context = open_context(options)
    dataset = read_data(options.data, options.labels, options, context)
    by_id, order = dataset, range(len(dataset))
    if options.ids:
        by_id = read_data(options.ids, dataset.labels, options, context)
        order = rows_in(dataset, by_id)
    members = [load_member(path, dataset, context, by_id, order, precision_of(options)) for path in options.members]
    truth = [int(label) for label in dataset.label_indices]
    known = [i for i, label in enumerate(truth) if label >= 0]
    return dataset, truth, known, members


def _add_members(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ids", metavar="FILE", help="the same sentences under the ids that the .csv members go by")
    parser.add_argument("--labels", default="klue", choices=["klue", "competition", "custom"], help="default: klue")
    parser.add_argument(
        "--missing-class", default="skip", choices=["skip", "half", "nan"], help="AUPRC of labels without a sentence"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, fractions of 1")
    add_data_options(parser)


def _chosen(table, rows: Sequence[int]):
    return [table[i] for i in rows]


# ---- compare


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="labelled sentences")
    parser.add_argument(
        "members", nargs=2, metavar="SYSTEM", help="two of: model folder, folder of models, submission.csv, array.npy"
    )
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--confidence", type=float, default=0.95, metavar="X", help="of the intervals (default: 0.95)")
    parser.add_argument("--seed", type=int, default=42, metavar="N", help="default: 42")
    _add_members(parser)


def _compare(options, parser: argparse.ArgumentParser) -> None:
    dataset, truth, known, members = _load(options)
    if not known:
        raise ValueError(f"{options.data}: no row has a label")
    first, second = (_chosen(member, known) for member in members)
    found = compare(
        first,
        second,
        _chosen(truth, known),
        _FIGURES,
        resamples=options.resamples,
        confidence=options.confidence,
        seed=options.seed,
        no_relation=no_relation_of(dataset.labels),
        missing_class=options.missing_class,
    )
    if options.json:
        fields = ("first", "second", "difference", "low", "high", "p_bootstrap", "p_randomization")
        print(json.dumps({name: {field: getattr(one, field) for field in fields} for name, one in found.items()}))
        return
    print(f"{len(known)} rows\nfirst   {options.members[0]}\nsecond  {options.members[1]}\n")
    print(
        f"{'':9}   first  second  difference  {100 * options.confidence:g} % interval   p (bootstrap)  p (randomization)"
    )
    for name, one in found.items():
        interval = f"[{100 * one.low:+.2f}, {100 * one.high:+.2f}]"
        print(
            f"{name:9}  {100 * one.first:6.2f}  {100 * one.second:6.2f}  {100 * one.difference:+10.2f}  {interval:>15}  "
            f"{one.p_bootstrap:14.4f}  {one.p_randomization:17.4f}"
        )


# ---- ensemble


def _add_ensemble(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="sentences; with labels the combinations are ranked")
    parser.add_argument(
        "members", nargs="+", metavar="MEMBER", help="model folders, folders of models (their mean), .csv, .npy"
    )
    parser.add_argument("--names", metavar="A,B,...", help="names for the tables (default: the paths)")
    parser.add_argument("--vote", default="soft", choices=["soft", "hard"], help="default: soft")
    parser.add_argument("--weights", metavar="W,W,...", help="of the members (default: equal)")
    parser.add_argument(
        "--metric",
        default="micro_f1",
        choices=["micro_f1", "auprc", "accuracy", "loss"],
        help="what combinations are ranked by (default: micro_f1)",
    )
    parser.add_argument("--top", type=int, default=20, metavar="N", help="combinations to list (default: 20)")
    parser.add_argument("--search-weights", action="store_true", help="find weights, cross-validated, on these rows")
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="of the search (default: 5)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the combined probabilities: .csv or .npy")
    _add_members(parser)


def _ensemble(options, parser: argparse.ArgumentParser) -> None:
    names = options.names.split(",") if options.names else options.members
    if len(names) != len(options.members):
        parser.error(f"--names: {len(names)} names for {len(options.members)} members")
    try:
        weights = [float(weight) for weight in options.weights.split(",")] if options.weights else None
    except ValueError:
        parser.error(f"--weights: {options.weights!r}, expected numbers")
    if options.output and Path(options.output).suffix not in (".csv", ".npy"):
        parser.error("-o wants a name that ends in .csv or .npy")
    dataset, truth, known, members = _load(options)
    if not known and not options.output:
        raise ValueError(f"{options.data}: no row has a label, so only -o makes sense")
    conventions = dict(no_relation=no_relation_of(dataset.labels), missing_class=options.missing_class)
    result: dict = {"members": names}
    lines: List[str] = []
    if known:
        judged, labels = [_chosen(member, known) for member in members], _chosen(truth, known)
        if options.search_weights:
            found = search_weights(judged, labels, folds=options.folds, metric=options.metric, **conventions)
            weights = found.weights
            result["search"] = dict(
                weights=weights, value=found.value, held_out=found.held_out, equal_weights=found.equal_weights
            )
            lines += [
                "weights: " + "  ".join(f"{name} {weight:.2f}" for name, weight in zip(names, weights)),
                f"  {options.metric} {found.value:.4f} on these rows, {found.held_out:.4f} held out, "
                f"{found.equal_weights:.4f} with equal weights",
                "",
            ]
        ranking = rank(judged, labels, weights=weights, vote=options.vote, metric=options.metric, **conventions)
        combined = combine(judged, weights, vote=options.vote)
        result.update(_judgement(combined, labels, ranking, conventions))
        lines += [ranking.table(names, options.top), "", *_contributions(names, ranking, options.metric), ""]
        lines += [_summary(result)]
    if options.output:
        _write(options.output, dataset, combine(members, weights, vote=options.vote))
        lines.append(f"{len(dataset)} rows: {options.output}")
    print(json.dumps(result, ensure_ascii=False) if options.json else "\n".join(lines))


def _judgement(combined, labels, ranking, conventions: dict) -> dict:
    fields = ("micro_f1", "auprc", "accuracy", "loss")
    gains = ("alone", "without", "leave_one_out", "shapley")
    return {
        "subsets": [
            dict(members=list(one.members), **{name: getattr(one, name) for name in fields}) for one in ranking.subsets
        ],
        "contributions": [{name: getattr(one, name) for name in gains} for one in ranking.contributions],
        "intervals": {
            name: [one.value, one.low, one.high]
            for name, one in bootstrap(combined, labels, _FIGURES, **conventions).items()
        },
        "ece": calibration(combined, labels).ece,
        "aurc": coverage_risk(combined, labels).aurc,
    }


def _contributions(names, ranking, metric: str) -> List[str]:
    width = max(len(name) for name in names)
    lines = [f"{metric:{width}}   alone  without  gain by it  Shapley value"]
    for name, one in zip(names, ranking.contributions):
        lines.append(
            f"{name:{width}}  {100 * one.alone:6.2f}  {100 * one.without:7.2f}  {100 * one.leave_one_out:+10.2f}  "
            f"{100 * one.shapley:+13.2f}"
        )
    return lines


def _summary(result: dict) -> str:
    figures = "  ".join(
        f"{name} {100 * value:.2f} [{100 * low:.2f}, {100 * high:.2f}]"
        for name, (value, low, high) in result["intervals"].items()
    )
    return f"all members: {figures}  ECE {result['ece']:.4f}"


def _write(path: str, dataset: Dataset, table) -> None:
    if path.endswith(".csv"):
        write_submission(path, dataset, table)
    elif numpy() is None:
        raise ImportError("writing .npy needs NumPy: pip install numpy")
    else:
        numpy().save(path, numpy().asarray(table, "float32"), allow_pickle=False)


# ---- explore


def _add_explore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="TRAIN", help="labelled sentences")
    parser.add_argument("other", nargs="?", metavar="DEV", help="a second file beside it")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the page: one HTML file that needs no network"
    )
    parser.add_argument("--tokenizer", metavar="PATH", help="count lengths in tokens too (default: the model's)")
    parser.add_argument(
        "--model", metavar="RUN", help="a trained model: its figures on the last file, and its learning curves"
    )
    parser.add_argument("--title", default="Relation extraction data", help="of the page")
    parser.add_argument("--labels", choices=["klue", "competition", "custom"], help="default: the model's, else klue")
    add_data_options(parser)


def _explore(options, parser: argparse.ArgumentParser) -> None:
    context = open_context(options)
    model = Model.open(model_folder(options.model), context=context) if options.model else None
    labels = options.labels or (model.labels if model else "klue")
    files = [(Path(options.data).name, read_data(options.data, labels, options, context))]
    if options.other:
        files.append((Path(options.other).name, read_data(options.other, files[0][1].labels, options, context)))
    if len(files) == 2 and files[0][0] == files[1][0]:
        files = [(path, dataset) for path, (_, dataset) in zip((options.data, options.other), files)]
    tokenizer = (
        Tokenizer(options.tokenizer, context=context) if options.tokenizer else model.tokenizer if model else None
    )
    log = read_log(options.model) if options.model else []
    chosen = dict(tokenizer=tokenizer, model=model, log=log, title=options.title, precision=precision_of(options))
    if options.quiet or model is None:
        write_page(options.output, files, **chosen)
    else:
        with ProgressBar("evaluate") as bar:
            write_page(options.output, files, progress=bar.update, **chosen)
    print(f"{options.output}: {Path(options.output).stat().st_size / 1024:.0f} KiB")


EVALUATION_COMMANDS = (
    ("compare", _add_compare, _compare, "whether two systems differ by more than chance"),
    ("explore", _add_explore, _explore, "a page about the data, and about a trained model"),
    ("ensemble", _add_ensemble, _ensemble, "combine members, rank every combination, find weights"),
)
