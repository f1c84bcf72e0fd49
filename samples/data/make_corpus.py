#!/usr/bin/env python3
"""Writes the sample corpus and its vocabulary: train.json, dev.json, vocab.txt, tokenizer_config.json.

Everything is invented here and drawn from one seed; standard library only.

    make_corpus.py           write the files beside this script
    make_corpus.py --check   write nothing; exit 1 unless the files are what this script writes
"""
import collections
import json
import pathlib
import re
import sys

from korean import Names, Stable, particle, PARTICLES
from templates import CLOSINGS, OPENINGS, RELATIONS, TYPES, UNRELATED
from wordpiece_vocabulary import vocabulary

FOLDER = pathlib.Path(__file__).resolve().parent
SEED = 20260917
NO_RELATION = "no_relation"
TRAIN = {"relation": 26, NO_RELATION: 246}  # rows per relation, rows without one: 1,000 rows
DEV = {"relation": 5, NO_RELATION: 55}  # 200 rows
JOINED = 0.12  # of the rows with a relation have a second clause about others
CROSSED = 0.15 # of the rows without one take their two entities from two clauses that each state a relation
VALUES = ("date", "number", "title")  # drawn afresh each time; the other kinds are names, no name is used twice


class Clause:
    """A filled pattern: its text and where subject and object stand in it, in code points, ends exclusive."""

    def __init__(self, text, spans):
        self.text = text
        self.spans = spans

    def after(self, prefix):
        return Clause(prefix + self.text, {k: (b + len(prefix), e + len(prefix), t) for k, (b, e, t) in self.spans.items()})


class Writer:
    def __init__(self, stable, names):
        self.stable = stable
        self.names = names

    def value(self, kind):
        return getattr(self.names, kind)() if kind in VALUES else self.names.draw(kind)

    def fill(self, pattern, kinds=None):
        """Replaces the fields of a pattern from left to right, so that particles see what they follow."""
        text, spans = "", {}
        for part in re.split(r"(\{[^}]*\})", pattern):
            if not part.startswith("{"):
                text += part
                continue
            field = part[1:-1]
            if field in PARTICLES:
                text += particle(text, field)
                continue
            kind = kinds[field] if kinds and field in kinds else field
            begin = len(text)
            text += self.value(kind)
            if field in ("S", "O"):
                spans[field] = (begin, len(text), TYPES[kind])
        return Clause(text, spans)

    def clause(self, subjects, objects, patterns):
        pick = self.stable.choice
        return self.fill(pick(patterns), {"S": pick(subjects), "O": pick(objects)})

    def any_relation(self):
        return self.clause(*RELATIONS[self.stable.choice(list(RELATIONS))])

    def join(self, first, second):
        """One sentence of two clauses, or two sentences; the second's spans under S2 and O2."""
        linked = self.stable.chance(0.6)
        if linked:
            if not re.search(r"[가-힣]다\.$", first.text) or re.search(r"[는한인운]다\.$", first.text):
                raise ValueError(f"no linking form for {first.text!r}")
            start = first.text[:-2] + "고, "
        else:
            start = first.text + self.stable.choice([" ", " 한편 ", " 그리고 "])
        moved = second.after(start)
        return Clause(moved.text, first.spans | {key + "2": span for key, span in moved.spans.items()})

    def dress(self, clause):
        """Adds an opening or a closing now and then."""
        if self.stable.chance(0.25):
            clause = clause.after(self.fill(self.stable.choice(OPENINGS)).text)
        if self.stable.chance(0.2):
            clause = Clause(clause.text + self.fill(self.stable.choice(CLOSINGS)).text, clause.spans)
        return clause

    def related(self, label):
        clause = self.clause(*RELATIONS[label])
        if self.stable.chance(JOINED):
            other = self.any_relation() if self.stable.chance(0.7) else self.clause(*self.stable.choice(UNRELATED))
            if self.stable.chance(0.5):
                joined = self.join(clause, other)
                clause = Clause(joined.text, {key: joined.spans[key] for key in ("S", "O")})
            else:
                joined = self.join(other, clause)
                clause = Clause(joined.text, {key: joined.spans[key + "2"] for key in ("S", "O")})
        return self.dress(clause)

    def crossed(self, pairs):
        """Two clauses with a relation each; subject of one and object of the other, their types a usual pair."""
        while True:
            joined = self.join(self.any_relation(), self.any_relation())
            for subject, other in (("S", "O2"), ("S2", "O")) if self.stable.chance(0.5) else (("S2", "O"), ("S", "O2")):
                if (joined.spans[subject][2], joined.spans[other][2]) in pairs:
                    return self.dress(Clause(joined.text, {"S": joined.spans[subject], "O": joined.spans[other]}))

    def unrelated(self, pairs):
        if self.stable.chance(CROSSED):
            return self.crossed(pairs)
        return self.dress(self.clause(*self.stable.choice(UNRELATED)))


def type_pairs():
    return {(TYPES[s], TYPES[o]) for subjects, objects, _ in RELATIONS.values() for s in subjects for o in objects}


def entity(text, span):
    begin, end, kind = span
    return {"word": text[begin:end], "start_idx": begin, "end_idx": end - 1, "type": kind}


def rows(split, sizes, stable, names):
    writer, pairs = Writer(stable, names), type_pairs()
    made = [(label, writer.related(label)) for label in RELATIONS for _ in range(sizes["relation"])]
    made += [(NO_RELATION, writer.unrelated(pairs)) for _ in range(sizes[NO_RELATION])]
    stable.shuffle(made)
    return [{
        "guid": f"kluere-sample_{split}_{number:05d}",
        "sentence": clause.text,
        "subject_entity": entity(clause.text, clause.spans["S"]),
        "object_entity": entity(clause.text, clause.spans["O"]),
        "label": label,
        "source": "kluere-sample",
    } for number, (label, clause) in enumerate(made)]


def tokenizer_configuration():
    names = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
    return {"do_lower_case": False, "tokenize_chinese_chars": True, "strip_accents": None, **names,
            "model_max_length": 512, "tokenizer_class": "BertTokenizer"}


def json_text(value):
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def build():
    """file name -> text; also the rows, for figures about them."""
    train_names = Names(Stable(SEED))
    train = rows("train", TRAIN, Stable(SEED + 1), train_names)
    dev = rows("dev", DEV, Stable(SEED + 2), Names(Stable(SEED + 3), taken=train_names.taken))
    pieces = vocabulary(row["sentence"] for row in train)
    files = {"train.json": json_text(train), "dev.json": json_text(dev), "vocab.txt": "".join(p + "\n" for p in pieces),
             "tokenizer_config.json": json_text(tokenizer_configuration())}
    return files, train, dev


def types_of(row):
    return row["subject_entity"]["type"], row["object_entity"]["type"]


def types_alone(train, dev):
    """micro-F1 on dev of a table that knows the two types and nothing else: the floor for any model."""
    table = collections.defaultdict(collections.Counter)
    for row in train:
        table[types_of(row)][row["label"]] += 1
    guesses = [table[types_of(row)].most_common(1)[0][0] if types_of(row) in table else NO_RELATION for row in dev]
    hits = sum(guess == row["label"] != NO_RELATION for guess, row in zip(guesses, dev))
    claimed = sum(guess != NO_RELATION for guess in guesses)
    true = sum(row["label"] != NO_RELATION for row in dev)
    return 2 * hits / (claimed + true)


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    files, train, dev = build()
    for row in train + dev:
        for key in ("subject_entity", "object_entity"):
            span = row[key]
            assert row["sentence"][span["start_idx"]:span["end_idx"] + 1] == span["word"], row
    for name, text in files.items():
        path = FOLDER / name
        if not arguments:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"samples/data/{name} is not what make_corpus.py writes: run it")
    print(f"samples/data: {len(train)} train rows, {len(dev)} held-out rows, {files['vocab.txt'].count(chr(10))} pieces; "
          f"a table of types alone reaches micro-F1 {types_alone(train, dev):.3f} held out")


if __name__ == "__main__":
    main(sys.argv[1:])
