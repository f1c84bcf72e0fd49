"""python -m kluere stats|audit|clean|split|augment: the commands that look at data and change it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Optional

from ._arrays import choices
from .cli_common import add_data_options, add_input_form, model_folder, open_context, precision_of, read_data
from .context import Context
from .dataset import Dataset
from .model import Model
from .predictor import Predictor
from .tokenizer import Tokenizer


def _add_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--labels",
        default="klue",
        choices=["klue", "competition", "custom"],
        help="label set; custom: those of the data (default: klue)",
    )
    add_data_options(parser)


def _add_tokenizer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokenizer", metavar="PATH", help="a tokenizer's folder or file, to count tokens too")


def _tokenizer(options, context: Context) -> Optional[Tokenizer]:
    return Tokenizer(options.tokenizer, context=context) if options.tokenizer else None


# ---- stats


def _add_stats(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="labelled sentences")
    parser.add_argument("other", nargs="?", metavar="OTHER", help="a second file, to compare with the first")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    _add_tokenizer(parser)
    _add_labels(parser)


def _stats(options, parser: argparse.ArgumentParser) -> None:
    context = open_context(options)
    dataset = read_data(options.data, options.labels, options, context)
    tokenizer = _tokenizer(options, context)
    found = dataset.statistics(tokenizer)
    compared = None
    if options.other:
        other = read_data(options.other, dataset.labels, options, context)
        compared = dataset.compare(other, tokenizer)
    if options.json:
        result = found.as_dict()
        if compared is not None:
            result["other"] = compared.as_dict()
        print(json.dumps(result, ensure_ascii=False))
        return
    print(found)
    if compared is not None:
        print(f"\nbeside {options.other}: {compared}")


# ---- audit


def _add_audit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="labelled sentences")
    parser.add_argument("other", nargs="?", metavar="OTHER", help="a file that must share no sentence with DATA")
    _add_tokenizer(parser)
    add_input_form(parser, "of the model to come, with --tokenizer (default: typed_marker_punct)")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="of the model to come (default: 256)")
    parser.add_argument("--rare-below", type=int, metavar="N", help="rows that make a label with types rare (default: 3)")
    parser.add_argument(
        "--severity", default="note", choices=["note", "warning", "error"], help="the least to list (default: note)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a finding")
    _add_labels(parser)


def _audit(options, parser: argparse.ArgumentParser) -> None:
    context = open_context(options)
    dataset = read_data(options.data, options.labels, options, context)
    other = read_data(options.other, dataset.labels, options, context) if options.other else None
    findings = dataset.audit(
        other,
        tokenizer=_tokenizer(options, context),
        rare_below=options.rare_below,
        input_form=options.input_form,
        max_tokens=options.max_tokens,
    )
    ranks = ["note", "warning", "error"]
    listed = [finding for finding in findings if ranks.index(finding.severity) >= ranks.index(options.severity)]
    for finding in listed:
        if options.json:
            print(json.dumps(dataclasses.asdict(finding), ensure_ascii=False))
        else:
            where = "-" if finding.row is None else finding.row
            print(f"{finding.severity:7}  {finding.kind:15}  {where!s:>6}  {finding.id or '-'}  {finding.message}")
    if not options.json:
        counts = Counter((finding.severity, finding.kind) for finding in listed)
        ordered = sorted(counts.items(), key=lambda item: (-ranks.index(item[0][0]), -item[1]))
        print(f"\n{len(listed)} findings in {len(dataset)} rows")
        for (severity, kind), count in ordered:
            print(f"  {severity:7}  {kind:15}  {count:>7}")


# ---- clean


def _add_output(parser: argparse.ArgumentParser, where: str) -> None:
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help=where)
    parser.add_argument(
        "--write-format",
        default="auto",
        choices=["auto", "klue_json", "competition_csv", "json_lines", "flat_csv"],
        help="of what is written (default: by the name's ending)",
    )


def _add_clean(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="labelled sentences")
    _add_output(parser, "file for the cleaned rows: .json, .jsonl or .csv")
    parser.add_argument("--keep-duplicates", action="store_true", help="leave rows that equal an earlier one")
    parser.add_argument(
        "--conflicts",
        default="leave",
        choices=["leave", "keep_first", "majority", "prefer_relation", "drop_all"],
        help="which of several labels of one input stays (default: leave all)",
    )
    parser.add_argument("--remove-ids", nargs="*", default=[], metavar="ID", help="rows to remove by hand")
    parser.add_argument(
        "--types",
        default="leave",
        choices=["leave", "majority", "competition_team"],
        help="correct entity types by the majority of the label, or by the map of the report's team",
    )
    parser.add_argument("--majority-share", type=float, metavar="X", help="rows of a label that must agree (default: 0.9)")
    parser.add_argument("--log", metavar="FILE", help="write what was done, as JSON; Dataset.restore undoes it")
    _add_labels(parser)


def _clean(options, parser: argparse.ArgumentParser) -> None:
    dataset = read_data(options.data, options.labels, options, open_context(options))
    cleaned, log = dataset.clean(
        duplicates=not options.keep_duplicates,
        conflicts=options.conflicts,
        remove_ids=options.remove_ids,
        types=options.types,
        majority_share=options.majority_share,
    )
    if options.log:
        Path(options.log).write_text(log.json + "\n", encoding="utf-8")
    cleaned.write(options.output, options.write_format)
    for (step, what), count in sorted(Counter((change.step, change.what) for change in log).items()):
        print(f"{step}: {count} x {what}")
    print(f"{log.rows_before} to {log.rows_after} rows: {options.output}")


# ---- split


def _add_split(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="labelled sentences")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="folder for the parts")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--fraction", type=float, default=0.1, metavar="F", help="for validation (default: 0.1)")
    how.add_argument("--folds", type=int, metavar="K", help="K pairs of files in place of one")
    parser.add_argument("--like", metavar="FILE", help="give the validation part the label shares of this file")
    parser.add_argument(
        "--stratify",
        nargs="*",
        default=["label", "types"],
        choices=["label", "types"],
        help="what the parts have in equal shares (default: both)",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="default: 42")
    parser.add_argument(
        "--ending", default=".json", choices=[".json", ".jsonl", ".csv"], help="of the files (default: .json)"
    )
    _add_labels(parser)


def _split(options, parser: argparse.ArgumentParser) -> None:
    if options.folds is not None and options.like:
        parser.error("--like is for one validation part, not for --folds")
    context = open_context(options)
    dataset = read_data(options.data, options.labels, options, context)
    like = read_data(options.like, dataset.labels, options, context) if options.like else None
    if options.folds is not None:
        pairs = dataset.cross_validation(options.folds, stratify=options.stratify, seed=options.seed)
    else:
        pairs = [
            dataset.split_stratified(options.fraction, stratify=options.stratify, like=like, seed=options.seed)
        ]
    folder = Path(options.output)
    for number, parts in enumerate(pairs):
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in zip(("train", "validation"), parts):
            fold = "" if options.folds is None else f"-{number}"
            path = folder / f"{name}{fold}{options.ending}"
            part.write(path)
            print(f"{len(part)} rows: {path}")


# ---- augment


def _add_augment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="labelled sentences")
    _add_output(parser, "file for the rows and the new ones: .json, .jsonl or .csv")
    parser.add_argument(
        "--kind",
        nargs="+",
        default=[],
        choices=sorted(choices("KLUERE_AUGMENT_")),
        help="what is done to the rows of DATA, each kind for itself",
    )
    parser.add_argument(
        "--paraphrases", metavar="FILE", help='JSON Lines {"id": ..., "sentence": ...} of sentences to take in'
    )
    parser.add_argument("--fill-in", metavar="MODEL", help="a masked-LM folder that says words anew")
    parser.add_argument("--judge", metavar="MODEL", help="with --fill-in: a model whose label must stay the row's")
    parser.add_argument("--row-share", type=float, metavar="X", help="the chance of each row (default: 1)")
    parser.add_argument(
        "--word-share", type=float, metavar="X", help="the share of the words (default: as the kind has it)"
    )
    parser.add_argument("--copies", type=int, metavar="N", help="new rows of each row, for random kinds (default: 1)")
    parser.add_argument(
        "--swap-map", nargs="+", choices=sorted(choices("KLUERE_SWAP_")), help="relations that a swap knows"
    )
    parser.add_argument("--mask", metavar="TEXT", help="default: [MASK]")
    parser.add_argument("--seed", type=int, metavar="N", help="default: 42")
    parser.add_argument("--only-new", action="store_true", help="leave the rows of DATA out")
    _add_labels(parser)


def _augment(options, parser: argparse.ArgumentParser) -> None:
    if not (options.kind or options.paraphrases or options.fill_in):
        parser.error("augment needs --kind, --paraphrases or --fill-in")
    if options.judge and not options.fill_in:
        parser.error("--judge is for --fill-in")
    context = open_context(options)
    dataset = read_data(options.data, options.labels, options, context)
    random = [kind for kind in options.kind if not kind.startswith(("swap_roles", "swap_texts", "mask_s", "mask_o"))]
    parts = []
    for kind in options.kind:
        made = _without_originals(
            lambda kind=kind: dataset.augment(
                kind,
                seed=options.seed,
                row_share=options.row_share,
                word_share=options.word_share,
                copies=options.copies if kind in random else None,
                swap_map=options.swap_map,
                keep_originals=True,
                mask=options.mask,
            ),
            dataset,
        )
        parts.append((kind, made))
    if options.paraphrases:
        parts.append(("paraphrases", _paraphrases(options, dataset)))
    if options.fill_in:
        parts.append(("fill_in", _filled(options, dataset, context)))
    # A swap that knows no relation makes nothing, but gives every row the id that the new ones name as origin.
    rows = [] if options.only_new else list(dataset.augment("swap_roles", swap_map=[]))
    for name, made in parts:
        print(f"{name}: {len(made)} rows")
        rows += made
    Dataset.create(rows, labels=dataset.labels, context=context).write(options.output, options.write_format)
    print(f"{len(rows)} rows: {options.output}")


def _without_originals(make, dataset: Dataset) -> list:
    """The new rows alone; there may be none, which a dataset cannot say."""
    made = make()
    return list(made[len(dataset) :]) if len(made) > len(dataset) else []


def _paraphrases(options, dataset: Dataset) -> list:
    pairs = []
    with open(options.paraphrases, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            entry = json.loads(line)
            if not isinstance(entry, dict) or not isinstance(entry.get("sentence"), str) or "id" not in entry:
                raise ValueError(f'{options.paraphrases}: line {number}: expected {{"id": ..., "sentence": "..."}}')
            pairs.append((str(entry["id"]), entry["sentence"]))
    refused = []

    def make():
        made, reasons = dataset.add_paraphrases(pairs)
        refused.extend(reasons)
        return made

    rows = _without_originals(make, dataset)
    for reason in refused:
        print(f"kluere: not taken: {pairs[reason.index][0]}: {reason.why}", file=sys.stderr)
    return rows


def _filled(options, dataset: Dataset, context: Context) -> list:
    model = Model.open(model_folder(options.fill_in), task="masked_lm", context=context)
    precision = precision_of(options)
    judge = Predictor(Model.open(model_folder(options.judge), context=context), precision=precision) if options.judge else None
    return _without_originals(
        lambda: Predictor(model, precision=precision).fill_in(
            dataset, judge=judge, seed=options.seed, row_share=options.row_share, word_share=options.word_share
        ),
        dataset,
    )


# They compute nothing on a device.
WITHOUT_A_MODEL = ("stats", "audit", "clean", "split", "recipes")
DATA_COMMANDS = (
    ("stats", _add_stats, _stats, "distributions of labels, types and lengths, and two files side by side"),
    ("audit", _add_audit, _audit, "what is wrong or odd in a file, row by row"),
    ("clean", _add_clean, _clean, "remove duplicates, resolve conflicts, correct entity types"),
    ("split", _add_split, _split, "parts that are alike and share no sentence: train and validation, or folds"),
    ("augment", _add_augment, _augment, "new rows from old ones: swaps, masks, AEDA, paraphrases, fill-in"),
)
