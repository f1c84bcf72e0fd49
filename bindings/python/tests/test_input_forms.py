"""Every input form against strings that are put together here and tokenized by transformers, on real sentences.

The library tokenizes part by part and counts positions while it does; the reference inserts markers into the text, has the
whole of it tokenized at once, and finds positions by the offsets. KLUERE_ALL_ROWS=1: every sentence of dev, not every fiftieth.
"""

import copy
import functools
import json
import os

import pytest

import kluere

transformers = pytest.importorskip("transformers")

TYPES = ["PER", "ORG", "LOC", "DAT", "NOH", "POH"]
WORDS = {
    "korean": ["사람", "단체", "장소", "날짜", "수량", "기타"],
    "english": ["person", "organization", "location", "date", "number", "other"],
    "report_4": ["사람", "조직", "위치", "날짜", "숫자", "명사"],
    "report_5": ["인물", "기관", "장소", "날짜", "수량", "기타 고유명사"],
}


def word(kind, type):
    return WORDS[kind][TYPES.index(type)]


# Text A before the sentence, from subject, object and their types.
PROMPTS = {
    "entity_pair": lambda s, o, a, b: f"{s}[SEP]{o}",
    "prompt_relation": lambda s, o, a, b: f"{s}와 {o}의 관계",
    "prompt_question": lambda s, o, a, b: f"{s}와 {o}의 관계는 무엇인가?",
    "prompt_typed_question": lambda s, o, a, b: (
        f"{word('report_4', a)}인 {s}와 {word('report_4', b)}인 {o} 사이의 관계는 무엇인가."
    ),
    "prompt_typed_statement": lambda s, o, a, b: (
        f"{s}와 {o}의 관계는 {word('report_4', a)}과 {word('report_4', b)}의 관계이다."
    ),
    "prompt_typed_nouns": lambda s, o, a, b: (
        f"{s} ({word('report_5', a)})와 {o} ({word('report_5', b)})의 관계는 무엇인가?"
    ),
    "semantic_typing": lambda s, o, a, b: f"{word('korean', a)}인 {s}와 {word('korean', b)}인 {o}의 관계는?",
    "report_6": lambda s, o, a, b: f"{s}-{o}",
}
PROMPTS["report_4"] = PROMPTS["prompt_typed_question"]

# What stands before and behind the entity: (subject, object) of (type -> text).
MARKERS = {
    "typed_marker_punct": [
        (lambda t: f"@ * {word('korean', t)} *", lambda t: "@"), (lambda t: f"# ^ {word('korean', t)} ^", lambda t: "#")
    ],
    "typed_marker_punct_english": [
        (lambda t: f"@ * {word('english', t)} *", lambda t: "@"), (lambda t: f"# ^ {word('english', t)} ^", lambda t: "#")
    ],
    "entity_marker": [(lambda t: "[E1]", lambda t: "[/E1]"), (lambda t: "[E2]", lambda t: "[/E2]")],
    "entity_marker_punct": [(lambda t: "@", lambda t: "@"), (lambda t: "#", lambda t: "#")],
    "typed_marker": [
        (lambda t: f"[SUBJ-{t}]", lambda t: f"[/SUBJ-{t}]"), (lambda t: f"[OBJ-{t}]", lambda t: f"[/OBJ-{t}]")
    ],
    "klue": [(lambda t: "<subj>", lambda t: "</subj>"), (lambda t: "<obj>", lambda t: "</obj>")],
    "r_bert": [(lambda t: "$", lambda t: "$"), (lambda t: "#", lambda t: "#")],
    "report_4": [
        (lambda t: f"@*[{word('report_4', t)}]*", lambda t: "@"), (lambda t: f"#^[{word('report_4', t)}]^", lambda t: "#")
    ],
    "report_5": [
        (lambda t: "[SE]", lambda t: f"({word('report_5', t)}) [/SE]"),
        (lambda t: "[OE]", lambda t: f"({word('report_5', t)}) [/OE]"),
    ],
    "report_6": [(lambda t: f"<S:{t}>", lambda t: f"</S:{t}>"), (lambda t: f"<O:{t}>", lambda t: f"</O:{t}>")],
}
ADDED = {
    "entity_marker": ["[E1]", "[/E1]", "[E2]", "[/E2]"],
    "klue": ["<subj>", "</subj>", "<obj>", "</obj>"],
    "report_5": ["[SE]", "[/SE]", "[OE]", "[/OE]"],
}
for name, pattern, opening in [("typed_marker", "[{}-{}]", ["SUBJ", "/SUBJ", "OBJ", "/OBJ"]),
                               ("entity_mask", "[{}-{}]", ["SUBJ", "OBJ"]),
                               ("report_6", "<{}:{}>", ["S", "/S", "O", "/O"])]:
    ADDED[name] = [
        token for side in opening for token in [pattern.format(side, t) for t in TYPES] + [pattern[0] + side + pattern[-1]]
    ]

# Markers behind the text, subject's and object's: those of another form.
LEVITATED = {"levitated_marker": "entity_marker", "typed_levitated_marker": "typed_marker"}
for name, style in LEVITATED.items():
    ADDED[name] = ADDED[style]

FORMS = sorted(set(PROMPTS) | set(MARKERS) | {"entity_mask"} | set(LEVITATED))


@pytest.fixture(scope="module")
def rows(real_data):
    read = json.loads((real_data / "klue-re" / "klue-re-v1.1_dev.json").read_text(encoding="utf-8"))
    assert len(read) == 7765
    made = []
    for row in read:
        entities = [row["subject_entity"], row["object_entity"]]
        spans = [(e["start_idx"], e["end_idx"] + 1, e["type"]) for e in entities]
        made.append((row["sentence"], *spans, kluere.Example(row["sentence"], *spans)))
    return made


@pytest.fixture(scope="module", params=["klue-bert-base", "klue-roberta"])
def folder(request, real_data):
    return real_data / "tokenizers" / request.param


@functools.lru_cache(maxsize=None)
def plain(folder):
    return kluere.Tokenizer(folder), transformers.BertTokenizerFast.from_pretrained(str(folder))


def theirs(folder, form=None):
    tokenizer = copy.deepcopy(plain(folder)[1])
    if form in ADDED:
        tokenizer.add_special_tokens({"additional_special_tokens": ADDED[form]})
    return tokenizer


def model(folder, context, **options):
    family = "bert" if "bert-base" in folder.name else "roberta"
    return kluere.Model.create(
        plain(folder)[0], family=family, hidden_size=4, layer_count=1, head_count=1, max_tokens=512, head="entity_start",
        context=context, **options,
    )


def insert(text, subject, object, markers):
    """The text with markers, and for both entities the places (marker_begin, begin, end, marker_end) in it."""
    borders = []
    for number, (begin, end, type) in enumerate([subject, object]):
        before, behind = markers[number]
        borders.append((begin, 1, begin - end, number, f" {before(type)} "))
        borders.append((end, 0, end - begin, number, f" {behind(type)} "))
    result, done, places = "", 0, [[0] * 4, [0] * 4]
    for at, opens, _, number, marker in sorted(borders):
        result += text[done:at]
        done = at
        side = 0 if opens else 2
        places[number][side] = len(result)
        result += marker
        places[number][side + 1] = len(result)
    return result + text[done:], places


def reference(tokenizer, form, row):
    """ids, token types and the two entities' places by one call of transformers' tokenizer."""
    text, subject, object, _ = row
    if form == "entity_mask":
        marked, spans = text, []
        order = sorted([(subject, "SUBJ"), (object, "OBJ")], key=lambda e: (e[0][0], -e[0][1]))
        assert order[0][0][1] <= order[1][0][0]
        first, second = [f" [{name}-{e[2]}] " for e, name in order]
        marked = text[: order[0][0][0]] + first + text[order[0][0][1] : order[1][0][0]]
        start = len(marked)
        marked += second + text[order[1][0][1] :]
        spans = [(order[0][0][0],) * 2 + (order[0][0][0] + len(first),) * 2, (start,) * 2 + (start + len(second),) * 2]
        places = spans if order[0][1] == "SUBJ" else spans[::-1]
    elif form in MARKERS:
        marked, places = insert(text, subject, object, MARKERS[form])
    else:
        marked, places = text, [(e[0], e[0], e[1], e[1]) for e in (subject, object)]
    if form in LEVITATED:
        return levitated(tokenizer, form, row)
    words = text[subject[0] : subject[1]], text[object[0] : object[1]]
    if form in PROMPTS:
        encoded = tokenizer(PROMPTS[form](*words, subject[2], object[2]), marked, return_offsets_mapping=True)
        number = 1
    else:
        encoded = tokenizer(marked, return_offsets_mapping=True)
        number = 0
    sequence = encoded.sequence_ids(0) if hasattr(encoded, "sequence_ids") else None
    tokens = [
        (k, b, e) for k, (b, e) in enumerate(encoded["offset_mapping"]) if sequence[k] == number and e > b
    ]

    def span(begin, end):
        inside = [k for k, b, e in tokens if b < end and e > begin]
        return (inside[0], inside[-1] + 1) if inside else None

    found = []
    for opening, begin, end, closing in places:
        core = span(begin, end)
        before, behind = span(opening, begin), span(end, closing)
        found.append((before[0] if before else core[0], *core, behind[1] if behind else core[1]))
    return encoded, marked, places, found


def levitated(tokenizer, form, row):
    """The same of a sentence with markers behind it."""
    text, *entities, _ = row
    encoded = tokenizer(text, return_offsets_mapping=True)
    offsets, sequence = encoded["offset_mapping"], encoded.sequence_ids(0)
    ids, types = list(encoded["input_ids"]), encoded.get("token_type_ids")
    found = []
    for (begin, end, type), (opens, closes) in zip(entities, MARKERS[LEVITATED[form]]):
        inside = [k for k, (b, e) in enumerate(offsets) if sequence[k] == 0 and e > b and b < end and e > begin]
        found.append((len(ids), inside[0], inside[-1] + 1, len(ids) + 2))
        ids += tokenizer.convert_tokens_to_ids([opens(type), closes(type)])
    return dict(input_ids=ids, token_type_ids=types and types + [0] * 4), text, None, found


def continued(tokenizer, vocabulary, encoded, marked, places, text, row_entities, exact):
    """ids with the rest of a word behind a closing marker as a continuation."""
    ids = list(encoded["input_ids"])
    clean = tokenizer(text, add_special_tokens=False)
    replaced = []
    ends = {places[n][3]: row_entities[n][1] for n in (0, 1)}
    for closing, at in ends.items():
        if any(begin <= closing < end for begin, end in [(p[0], p[1]) for p in places] + [(p[2], p[3]) for p in places]):
            continue  # another marker follows at once
        if at >= len(text):
            continue
        token = encoded.char_to_token(closing)
        if token is None:
            continue
        if exact:
            name = tokenizer.convert_ids_to_tokens(ids[token])
            if not text[at].isspace() and "가" <= name[0] <= "힣" and "##" + name in vocabulary:
                replaced.append((token, token + 1, ["##" + name]))
            continue
        before, after = clean.char_to_word(at - 1), clean.char_to_word(at)
        if before is None or before != after:
            continue
        numbers = encoded.word_ids(0)
        stop = token
        while stop < len(numbers) and numbers[stop] == numbers[token]:
            stop += 1
        begin = encoded.token_to_chars(token).start
        rest = marked[begin : encoded.token_to_chars(stop - 1).end]
        pieces = []
        while rest:
            length = next((n for n in range(len(rest), 0, -1) if "##" + rest[:n] in vocabulary), None)
            if length is None:
                pieces = ["[UNK]"]
                break
            pieces.append("##" + rest[:length])
            rest = rest[length:]
        replaced.append((token, stop, pieces))
    for begin, stop, pieces in sorted(replaced, reverse=True):
        ids[begin:stop] = tokenizer.convert_tokens_to_ids(pieces)
    return ids


def sample(rows, form):
    if os.environ.get("KLUERE_ALL_ROWS") == "1":
        return rows
    return rows[FORMS.index(form) :: 50]


def as_tuple(places):
    return (places.marker_begin, places.begin, places.end, places.marker_end)


@pytest.mark.parametrize("form", FORMS)
def test_ids_types_and_places_of_real_sentences(form, folder, rows, context):
    tokenizer = theirs(folder, form)
    ours = model(folder, context, input_form=form, after_marker="new_word")
    is_bert = ours.config.family == "bert"
    checked = 0
    for row in sample(rows, form):
        if form == "entity_mask" and not (row[1][1] <= row[2][0] or row[2][1] <= row[1][0]):
            continue
        encoded, _, _, places = reference(tokenizer, form, row)
        tokens = ours.encode(row[3])
        assert tokens.ids == encoded["input_ids"], row
        assert tokens.type_ids == (encoded["token_type_ids"] if is_bert else [0] * len(tokens)), row
        found = ours.input_places(row[3])
        assert (found.cls, found.cropped) == (0, 0)
        assert found.text_count == len(tokens) - (4 if form in LEVITATED else 0)
        assert [as_tuple(found.subject), as_tuple(found.object)] == places, row
        checked += 1
    assert checked > len(sample(rows, form)) * 0.95


@pytest.mark.parametrize("after_marker", ["continuation", "klue_repair"])
@pytest.mark.parametrize("form", ["typed_marker_punct", "klue"])
def test_words_that_a_marker_cuts(form, after_marker, folder, rows, context):
    tokenizer = theirs(folder, form)
    ours = model(folder, context, input_form=form, after_marker=after_marker)
    changed, vocabulary = 0, tokenizer.get_vocab()
    for row in sample(rows, form):
        encoded, marked, places, _ = reference(tokenizer, form, row)
        ids = continued(tokenizer, vocabulary, encoded, marked, places, row[0], row[1:3], after_marker == "klue_repair")
        assert ours.encode(row[3]).ids == ids, row
        changed += ids != encoded["input_ids"]
    assert changed > len(sample(rows, form)) * 0.5


def test_klue_repairs_unless_told_otherwise(folder, context):
    assert model(folder, context, input_form="klue").config.after_marker == "klue_repair"
    assert model(folder, context, input_form="entity_marker").config.after_marker == "new_word"
