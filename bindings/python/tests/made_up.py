"""Made-up sentences, a vocabulary that fits them, and small models. No dependency but kluere."""

import json
import random
from pathlib import Path

import kluere

SYLLABLES = "가나다라마바사아자차카타파하고노도로모보소오조초코토포호구누두루무부수우주추쿠투푸후기니디리미비시이지"
TYPES = ["PER", "ORG", "LOC", "DAT", "POH", "NOH"]
SPECIAL = {
    "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    "roberta": ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"],
    "electra": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
}
PUNCTUATION = "@#*^&.,!?()<>'\""


def vocabulary(family="roberta"):
    pieces = list(SPECIAL[family]) + list(PUNCTUATION)
    pieces += ["사람", "단체", "기관", "조직", "장소", "위치", "날짜", "기타", "수량", "숫자", "명사", "인물"]
    pieces += list(SYLLABLES) + ["##" + s for s in SYLLABLES]
    pieces += [a + b for a, b in zip(SYLLABLES, SYLLABLES[7:])]
    pieces += ["##" + a + b for a, b in zip(SYLLABLES, SYLLABLES[11:])]
    return list(dict.fromkeys(pieces))


def write_tokenizer(folder, family="roberta"):
    """A folder with vocab.txt and tokenizer_config.json that kluere and transformers both read."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary(family)) + "\n", encoding="utf-8")
    configuration = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": False,
        "tokenize_chinese_chars": True,
        "strip_accents": None,
        "model_max_length": 512,
    }
    configuration.update((f"{name}_token", f"[{name.upper()}]") for name in ("unk", "sep", "pad", "cls", "mask"))
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration), encoding="utf-8")
    return folder


def examples(count, labels, seed=0, longest=40):
    """Sentences of very different lengths. The label follows from the entity types and the word between them."""
    generator = random.Random(seed)

    def word(shortest=1, most=5):
        return "".join(generator.choice(SYLLABLES) for _ in range(generator.randint(shortest, most)))

    rows = []
    for number in range(count):
        words = [word() for _ in range(generator.randint(2, longest))]
        first, second = sorted(generator.sample(range(len(words)), 2))
        types = [generator.randrange(6), generator.randrange(6)]
        text, places = "", []
        for i, part in enumerate(words):
            text += (" " if text else "") + part
            if i in (first, second):
                places.append((len(text) - len(part), len(text)))
            text += generator.choice(["", "", "", ",", "은"])
        subject = kluere.Entity(*places[0], TYPES[types[0]])
        entity = kluere.Entity(*places[1], TYPES[types[1]])
        label = labels[(types[0] * 6 + types[1]) % len(labels)]
        rows.append(kluere.Example(text + ".", subject, entity, label=label, id=f"made-up-{number}", source="made-up"))
    return rows


def dataset(count=64, labels=None, seed=0, longest=40, context=None):
    labels = labels or ["no_relation", "per:title", "org:members", "한국어 라벨"]
    return kluere.Dataset.create(examples(count, labels, seed, longest), labels=labels, context=context)


def model(folder, labels=None, context=None, **config):
    """A small model with random weights; folder is for its tokenizer."""
    labels = labels or ["no_relation", "per:title", "org:members", "한국어 라벨"]
    shape = dict(family="roberta", hidden_size=24, layer_count=2, head_count=3, intermediate_size=50, max_positions=128)
    shape.update(config)
    tokenizer = kluere.Tokenizer(write_tokenizer(folder, shape["family"]), context=context)
    return kluere.Model.create(tokenizer, labels=labels, context=context, **shape)


def write_klue_json(path, rows):
    """KLUE's own form: inclusive end."""

    def entity(row, span):
        word = row.text[span.begin : span.end]
        return {"word": word, "start_idx": span.begin, "end_idx": span.end - 1, "type": span.type}

    content = [
        {
            "guid": row.id,
            "sentence": row.text,
            "subject_entity": entity(row, row.subject),
            "object_entity": entity(row, row.object),
            "label": row.label,
            "source": row.source,
        }
        for row in rows
    ]
    Path(path).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path
