"""Sentences with the token counts of a list, made of words that are one token each: real lengths without real text."""

import math
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import kluere  # noqa: E402

SHAPES = {  # layers, hidden, heads, intermediate
    "large": (24, 1024, 16, 4096),
    "base": (12, 768, 12, 3072),
    "tiny": (2, 128, 2, 256),
}
VOCABULARY = 32000
SPECIAL = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]", "@", "*", "#", "^", "사람", "장소", "."]
SYLLABLES = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허고노도로모보소오조초코토포호구누두루무부수우주추쿠투푸후"


def words():
    count = VOCABULARY - len(SPECIAL)
    made = (a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES)
    return [word for word, _ in zip(made, range(count))]


def read_lengths(path, count):
    """Token counts, one a line; without a file, lengths shaped like KLUE-RE's (log-normal, mean about 70)."""
    if path:
        lengths = [int(line) for line in Path(path).read_text().split()]
    else:
        draw = random.Random(1)
        lengths = [max(16, min(256, int(draw.lognormvariate(math.log(70) - 0.101, 0.45)))) for _ in range(32470)]
    return lengths[:count] if count else lengths


def tokenizer_folder(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(SPECIAL + words()) + "\n", encoding="utf-8")
    return folder


def create_model(folder, shape, context, **options):
    layers, hidden, heads, intermediate = SHAPES[shape]
    return kluere.Model.create(
        kluere.Tokenizer(tokenizer_folder(folder), context=context), context=context, family="roberta",
        layer_count=layers, hidden_size=hidden, head_count=heads, intermediate_size=intermediate, max_tokens=256,
        **options,
    )


def sentence_with_entities(length, count, seed):
    """A sentence, and that many of its words as entities, persons and places in turn: (text, [(begin, end, type)])."""
    draw, vocabulary = random.Random(seed), words()
    sentence = [draw.choice(vocabulary) for _ in range(length - 12)]
    begins = [sum(len(word) + 1 for word in sentence[:place]) for place in range(len(sentence))]
    places = sorted(draw.sample(range(len(sentence)), count))
    return " ".join(sentence), [
        (begins[place], begins[place] + len(sentence[place]), "PER" if number % 2 == 0 else "LOC")
        for number, place in enumerate(places)
    ]


def create_dataset(lengths, labels, context, seed=0):
    """One labelled sentence for each length, special tokens and markers counted."""
    draw, vocabulary = random.Random(seed), words()
    extra = 2 + 10  # [CLS], [SEP]; "@ * type *" and "@" around each entity, a type being one token

    def example(number, length):
        count = max(2, length - extra)
        sentence = [draw.choice(vocabulary) for _ in range(count)]
        places, begin = [], 0
        for word in sentence:
            places.append((begin, begin + len(word)))
            begin += len(word) + 1
        first, second = sorted(draw.sample(range(count), 2))
        return kluere.Example(
            " ".join(sentence), kluere.Entity(*places[first], "PER"), kluere.Entity(*places[second], "LOC"),
            label=draw.choice(labels), id=str(number),
        )

    rows = [example(number, length) for number, length in enumerate(lengths)]
    return kluere.Dataset.create(rows, labels=labels, context=context)
