"""python -m kluere stats|audit: the commands that look at data and change it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import Counter
from typing import Optional

from .cli_common import add_data_options, open_context, read_data
from .context import Context
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
    parser.add_argument(
        "--input-form",
        choices=["typed_marker_punct", "entity_pair"],
        help="of the model to come, with --tokenizer (default: typed_marker_punct)",
    )
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


DATA_COMMANDS = (
    ("stats", _add_stats, _stats, "distributions of labels, types and lengths, and two files side by side"),
    ("audit", _add_audit, _audit, "what is wrong or odd in a file, row by row"),
)
