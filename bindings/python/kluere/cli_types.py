"""python -m kluere types, and predict --pairs: what entity types say, and all pairs of a sentence."""

from __future__ import annotations

import argparse
import json
from typing import List, Optional

from ._arrays import choices
from .cli_common import add_data_options, model_folder, open_context, precision_of, read_data
from .entity_types import TypeCounts
from .example import Entity
from .model import Model
from .predictor import Predictor

_COUNTS = (1, 2, 3, 5, 10)


def add_mask_options(parser) -> None:
    """Of the type mask: shared by train and types."""
    parser.add_argument("--mask-smoothing", type=float, metavar="A", help="rows that the labels' shares weigh (default: 1)")
    parser.add_argument("--mask-strength", type=float, metavar="X", help="times the log-prior (default: 1)")
    parser.add_argument(
        "--mask-hard-count", type=int, metavar="N", help="labels that a pair has fewer times are impossible (default: 0)"
    )


def mask_settings(options) -> dict:
    return {
        "smoothing": options.mask_smoothing,
        "strength": options.mask_strength,
        "hard_count": options.mask_hard_count,
    }


# ---- types


def _add_types(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("data", metavar="DATA", help="labelled sentences, from which is counted")
    add("--check", metavar="FILE", help="labelled sentences: what a hard mask would cost there, by count")
    add("--labels", default="klue", choices=["klue", "competition", "custom"], help="label set (default: klue)")
    add("--at-least", type=int, default=1, metavar="N", help="show labels that a pair has this often (default: 1)")
    add("--json", action="store_true", help="one JSON object on stdout")
    add("--model", metavar="FOLDER", help="give this model a type mask of the counts, and write it to -o")
    add("-o", "--output", metavar="FOLDER", help="where the model with the mask goes")
    add_mask_options(parser)
    add_data_options(parser)


def _types(options, parser: argparse.ArgumentParser) -> None:
    if bool(options.model) != bool(options.output):
        parser.error("--model and -o belong together")
    if not options.model and any(value is not None for value in mask_settings(options).values()):
        parser.error("--mask-smoothing, --mask-strength and --mask-hard-count are for --model")
    context = open_context(options)
    if options.model:
        model = Model.open(model_folder(options.model), context=context)
        dataset = read_data(options.data, model.labels, options, context)
        model.with_type_mask(dataset, **mask_settings(options)).save(options.output)
    else:
        dataset = read_data(options.data, options.labels, options, context)
    counts = dataset.type_counts()
    checked = None
    if options.check:
        checked = _check(counts, read_data(options.check, dataset.labels, options, context).type_counts())
    if options.json:
        print(json.dumps(_as_json(counts, checked), ensure_ascii=False))
        return
    _print_table(counts, options.at_least)
    if checked:
        print("\nat least  relations lost  labels left")
        for row in checked:
            print(f"{row['at_least']:8}  {100 * row['lost']:12.2f} %  {row['labels_left']:11.2f}")
    if options.model:
        print(f"\nmodel with the type mask: {options.output}")


def _print_table(counts: TypeCounts, at_least: int) -> None:
    for (subject, object), numbers in sorted(counts.pairs.items(), key=lambda item: -sum(item[1])):
        shown = sorted(zip(numbers, counts.labels), key=lambda cell: -cell[0])
        text = ", ".join(f"{label} {n}" for n, label in shown if n >= max(1, at_least))
        print(f"{subject}-{object} {sum(numbers)}: {text}")
    if counts.left_out:
        print(f"left out: {counts.left_out} rows without a label or a type")


def _check(counts: TypeCounts, other: TypeCounts) -> List[dict]:
    """For each count: the share of other's relations (not no_relation) that a hard mask forbids, and how many labels it
    leaves a row of other, without no_relation."""
    rows = []
    for at_least in _COUNTS:
        lost = relations = left = total = 0
        for pair, numbers in other.pairs.items():
            allowed = set(counts.allowed(pair, at_least)) - {"no_relation"}
            for label, n in zip(other.labels, numbers):
                if label != "no_relation":
                    relations += n
                    lost += 0 if label in allowed else n
            left += len(allowed) * sum(numbers)
            total += sum(numbers)
        rows.append({"at_least": at_least, "lost": lost / max(1, relations), "labels_left": left / max(1, total)})
    return rows


def _as_json(counts: TypeCounts, checked: Optional[list]) -> dict:
    return {
        "labels": counts.labels,
        "pairs": [
            {"subject": subject, "object": object, "counts": numbers}
            for (subject, object), numbers in counts.pairs.items()
        ],
        "left_out": counts.left_out,
        **({} if checked is None else {"check": checked}),
    }


# ---- predict --pairs


def add_pair_options(parser) -> None:
    group = parser.add_argument_group("all pairs of a sentence")
    group.add_argument(
        "--pairs",
        metavar="FILE",
        help='JSON lines {"sentence": ..., "entities": [{"start_idx", "end_idx" (inclusive, as in KLUE), "type"}, ...]}: '
        "the relations of all ordered pairs, as JSON lines",
    )
    group.add_argument(
        "--prune", default="none", choices=list(choices("KLUERE_PRUNE_")), help="pairs left out by types (default: none)"
    )
    group.add_argument("--threshold", type=float, default=0.0, metavar="P", help="only relations at least as probable")
    group.add_argument("--all-pairs", action="store_true", help="pairs with no_relation too")


def predict_pairs(options, model: Model) -> None:
    predictor = Predictor(model, precision=precision_of(options), type_mask=options.type_mask)
    with open(options.pairs, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            sentence, entities, row = _sentence(line, f"{options.pairs}:{number}")
            relations = predictor.predict_pairs(
                sentence,
                entities,
                only_relations=not options.all_pairs,
                threshold=options.threshold,
                prune=options.prune,
            )
            result = {key: row[key] for key in ("id", "guid") if key in row}
            result["relations"] = [
                {
                    "subject": found.subject,
                    "object": found.object,
                    "subject_word": sentence[entities[found.subject].begin : entities[found.subject].end],
                    "object_word": sentence[entities[found.object].begin : entities[found.object].end],
                    "label": found.label,
                    "probability": found.probability,
                }
                for found in relations
            ]
            print(json.dumps(result, ensure_ascii=False))


def _sentence(line: str, place: str):
    try:
        row = json.loads(line)
        entities = [
            Entity(int(entity["start_idx"]), int(entity["end_idx"]) + 1, entity.get("type"))
            for entity in row["entities"]
        ]
        return str(row["sentence"]), entities, row
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise ValueError(f"{place}: no sentence with entities: {type(problem).__name__}: {problem}") from None


TYPES_COMMANDS = (
    ("types", _add_types, _types, "which labels stand with which pairs of entity types; a type mask for a model"),
)
