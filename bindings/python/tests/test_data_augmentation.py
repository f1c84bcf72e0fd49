"""Augmentation over the whole real train set and on made-up rows: spans, seeds, swaps and what is refused."""

import json
import re
from collections import Counter

import pytest

import kluere
import made_up
from test_data_statistics import TRAIN

RANDOM = ("mask_words", "insert_punctuation", "delete_words", "swap_words")
SYMMETRIC = {"per:spouse", "per:siblings", "per:colleagues", "per:other_family", "per:alternate_names"}
INVERSE = {"per:parents": "per:children", "per:children": "per:parents", "org:members": "org:member_of",
           "org:member_of": "org:members"}


@pytest.fixture(scope="module")
def original(real_data):
    """The file's rows as JSON has them: another reader than ours."""
    return json.loads((real_data / TRAIN).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def train(real_data, context):
    return kluere.Dataset.read(real_data / TRAIN, context=context)


def written(dataset, folder):
    """All rows as our JSON Lines have them, read by Python."""
    dataset.write(folder / "rows.jsonl")
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]


def content(dataset, folder):
    dataset.write(folder / "rows.jsonl")
    return (folder / "rows.jsonl").read_bytes()


def spans_hold(rows):
    """Rows whose word is not what the span says in Python's own counting."""
    bad = 0
    for row in rows:
        for role in ("subject_entity", "object_entity"):
            entity = row[role]
            bad += row["sentence"][entity["start_idx"] : entity["end_idx"] + 1] != entity["word"]
    return bad == 0


def swapped_label(row):
    """The new label by the table of the design, or None."""
    types = (row["subject_entity"]["type"], row["object_entity"]["type"])
    label = row["label"]
    if types == ("PER", "PER") and label in SYMMETRIC or types == ("ORG", "ORG") and label == "org:alternate_names":
        return label
    if types in (("PER", "PER"), ("ORG", "ORG")) and label in INVERSE and label[:3].upper() == types[0]:
        return INVERSE[label]
    if types == ("ORG", "PER") and label == "org:top_members/employees":
        return "per:employee_of"
    return None


@pytest.mark.parametrize("kind", [*RANDOM, "mask_subject", "mask_object"])
def test_every_span_of_the_train_set_holds(train, original, tmp_path, kind):
    made = train.augment(kind, keep_originals=False, seed=5)
    rows = written(made, tmp_path)
    assert spans_hold(rows) and len(rows) > 0.95 * len(original)
    assert content(train.augment(kind, keep_originals=False, seed=5), tmp_path) == content(made, tmp_path)
    if kind in RANDOM:
        assert content(train.augment(kind, keep_originals=False, seed=6), tmp_path) != content(made, tmp_path)
    sources = {row["guid"]: row for row in original}
    for row in rows:
        source = sources[row["origin"]]
        assert row["id"].startswith(row["origin"] + "~") and row["label"] == source["label"]
        words, old = row["sentence"].split(), source["sentence"].split()
        for role in ("subject", "object"):
            word = "[MASK]" if kind == f"mask_{role}" else source[f"{role}_entity"]["word"]
            assert row[f"{role}_entity"]["word"] == word
            assert row[f"{role}_entity"]["type"] == source[f"{role}_entity"]["type"]
        if kind == "mask_words":
            assert sum(a != b for a, b in zip(words, old)) == 1 == words.count("[MASK]") and len(words) == len(old)
        elif kind == "insert_punctuation":
            rest = list(words)
            for mark in ".;?:!,":
                rest = [w for w in rest if w != mark]
            assert 1 <= len(words) - len(old) <= max(1, len(old) // 3)
            assert rest == [w for w in old if w not in list(".;?:!,")]
        elif kind == "delete_words":
            assert not Counter(words) - Counter(old) and 1 <= len(old) - len(words) <= max(1, round(0.11 * len(old)))
        elif kind == "swap_words":
            assert Counter(words) == Counter(old) and words != old


def asked(row):
    """What a model is asked: the sentence and both spans."""
    spans = [row[role][place] for role in ("subject_entity", "object_entity") for place in ("start_idx", "end_idx")]
    return (row["sentence"], *spans)


def same_types(row):
    return row["subject_entity"]["type"] == row["object_entity"]["type"]


@pytest.mark.parametrize("kind", ["swap_roles", "swap_texts"])
def test_swaps_of_the_train_set(train, original, tmp_path, kind):
    made = train.augment(kind, keep_originals=False)
    rows = written(made, tmp_path)
    assert spans_hold(rows)
    sources = {row["guid"]: row for row in original}
    inputs = {asked(row) for row in original}
    for row in rows:
        source = sources[row["origin"]]
        subject, object_ = source["subject_entity"], source["object_entity"]
        assert row["label"] == swapped_label(source)
        if kind == "swap_roles":
            assert row["sentence"] == source["sentence"]
            assert (row["subject_entity"], row["object_entity"]) == (object_, subject)
            assert asked(row) not in inputs
        else:
            assert row["sentence"] != source["sentence"] and same_types(source)
            assert row["subject_entity"]["word"] == subject["word"] and row["object_entity"]["word"] == object_["word"]
            assert (subject["start_idx"] < object_["start_idx"]) != (
                row["subject_entity"]["start_idx"] < row["object_entity"]["start_idx"])
            first, second = sorted((subject, object_), key=lambda entity: entity["start_idx"])
            text = source["sentence"]
            assert row["sentence"] == (text[: first["start_idx"]] + second["word"]
                                       + text[first["end_idx"] + 1 : second["start_idx"]] + first["word"]
                                       + text[second["end_idx"] + 1 :])
    able = [row for row in original if swapped_label(row) and (kind == "swap_roles" or same_types(row))]
    if kind == "swap_texts":
        assert len(rows) == sum(row["subject_entity"]["word"] != row["object_entity"]["word"] for row in able) > 5000
    else:
        back = [(r["sentence"], *asked(r)[3:], *asked(r)[1:3]) in inputs for r in able]
        assert len(rows) == len(able) - sum(back) > 8000


@pytest.mark.parametrize("kind", ["swap_roles", "swap_texts"])
def test_swapped_twice_is_the_original(train, original, tmp_path, kind):
    """Every row that can be swapped once, with both one-way relations allowed so that each has a way back."""
    both = ["symmetric", "inverse", "top_members_to_employee_of", "employee_of_to_top_members", "no_relation"]
    once = train.augment(kind, keep_originals=False, swap_map=both)
    twice = written(once.augment(kind, keep_originals=False, swap_map=both), tmp_path)
    sources = {row["guid"]: row for row in original}
    assert len(twice) == len(once) > (14_000 if kind == "swap_roles" else 8_000)
    for row in twice:
        source = sources[row["origin"]]
        assert all(row[name] == source[name] for name in ("sentence", "subject_entity", "object_entity", "label"))


def test_the_swap_map_is_a_choice(train):
    def labels(*names):
        made = train.augment("swap_roles", keep_originals=False, swap_map=names).statistics().label
        return {label for label, rows in made.items() if rows}

    assert labels("symmetric") == SYMMETRIC | {"org:alternate_names"}
    assert labels("inverse") == set(INVERSE)
    assert labels("top_members_to_employee_of") == {"per:employee_of"}
    assert labels("employee_of_to_top_members") == {"org:top_members/employees"}
    assert labels("no_relation") == {"no_relation"}
    with pytest.raises(kluere.InvalidArgument, match="no row could be augmented"):
        labels()


def test_splits_never_separate_a_row_from_what_was_made_of_it(train, tmp_path, context):
    rows = train.subset(range(1500)).augment("swap_roles").augment("mask_words", row_share=0.3, seed=1)
    assert len(rows) > 2000
    again = []
    for name in ("a.json", "b.jsonl", "c.csv"):
        rows.write(tmp_path / name)
        again.append(kluere.Dataset.read(tmp_path / name, context=context))
    rows.write(tmp_path / "flat.csv", format="flat_csv")
    again.append(kluere.Dataset.read(tmp_path / "flat.csv", context=context))
    for dataset in again:
        assert dataset[len(dataset) - 1].origin == rows[len(rows) - 1].origin
        for first, second in [dataset.split(0.2), dataset.split_stratified(0.2), *dataset.cross_validation(3)]:
            assert not {row.origin or row.id for row in first} & {row.origin or row.id for row in second}


def test_shares_and_copies(train):
    some = train.augment("mask_words", row_share=0.25, keep_originals=False)
    assert abs(len(some) - 0.25 * len(train)) < 400
    small = train.subset(range(200))
    many = small.augment("mask_words", copies=3, word_share=0.5)
    marks = Counter(re.sub(".*~", "~", row.id) if row.origin else "" for row in many)
    assert marks == {"": 200, "~mask": 200, "~mask2": 200, "~mask3": 200}
    masked = [row.text.count("[MASK]") for row in many[200:]]
    assert max(masked) > 5 and min(masked) >= 1
    own = small.augment("mask_object", mask="가림 말", keep_originals=False)
    assert all(row.object_text == "가림 말" for row in own)


def test_rows_without_ids_get_their_number(context):
    rows = kluere.Dataset.create([kluere.Example("가 나 다 라", (0, 1), (2, 3)), kluere.Example("마 나 다", (0, 1), (2, 3))],
                                 context=context)
    made = rows.augment("delete_words")
    assert [(row.id, row.origin) for row in made] == [("0", None), ("1", None), ("0~delete", "0"), ("1~delete", "1")]
    assert made[3].text == "마 나" and made[2].text in ("가 나 라", "가 나 다")
    with pytest.raises(kluere.InvalidArgument, match="no row could be augmented"):
        kluere.Dataset.create([kluere.Example("가 나", (0, 1), (2, 3))], context=context).augment(
            "delete_words", keep_originals=False)


@pytest.mark.parametrize("text, subject, object_", [
    ("첫 말 가 나", (4, 5), (6, 7)), ("가 나 말 끝", (0, 1), (2, 3)), ("말 가 나 끝", (2, 4), (4, 5)),
    ("말  가말 나,끝 말", (3, 4), (6, 7)),
    ("말\u3000가\u00a0말\t나 \u0301말", (2, 3), (6, 7)), ("말 가나다 말", (2, 5), (3, 4)), ("  말 가 말 나  ", (4, 5), (8, 9)),
    ("😀 가😀나 😀", (2, 3), (4, 5)),
])
def test_spans_hold_at_every_edge(context, text, subject, object_):
    rows = kluere.Dataset.create([kluere.Example(text, subject, object_, id="x")], context=context)
    for kind in (*RANDOM, "mask_subject", "mask_object"):
        expected = [text[slice(*subject)], text[slice(*object_)]]
        if kind.startswith("mask_") and kind != "mask_words":
            expected[kind == "mask_object"] = "[MASK]"
        for seed in range(30):
            made = rows.augment(kind, seed=seed, word_share=0.5 if kind in RANDOM else None)
            assert len(made) <= 2
            for row in list(made)[1:]:
                assert [row.subject_text, row.object_text] == expected


def test_bad_arguments_of_augmentation(context):
    rows = made_up.dataset(5, context=context)
    for kind, options in (
        ("dream", {}), ("mask_words", dict(row_share=0)), ("mask_words", dict(row_share=float("nan"))),
        ("mask_words", dict(word_share=-0.1)), ("mask_words", dict(copies=0)), ("swap_roles", dict(copies=2)),
        ("mask_words", dict(mask="")), ("swap_roles", dict(swap_map=["all"])),
    ):
        with pytest.raises(ValueError):
            rows.augment(kind, **options)


# ---- Paraphrases


def paraphrase(context, source, text):
    rows = kluere.Dataset.create([source], context=context)
    made, refused = rows.add_paraphrases([(0, text)])
    return (None, refused[0].why) if refused else (made[1], None)


SOURCE = kluere.Example("서울의 서울대학교는 김철수가 나온 학교이고, 서울에 있다.", (4, 9, "ORG"), (11, 14, "PER"), id="s", label="no_relation")


def test_paraphrases_with_both_entities_are_taken(context):
    row, _ = paraphrase(context, SOURCE, "김철수는 서울대학교를 나왔다.")
    assert (row.subject_text, row.object_text, row.origin, row.id) == ("서울대학교", "김철수", "s", "s~paraphrase")
    assert (row.subject.type, row.object.type, row.label) == ("ORG", "PER", "no_relation")


@pytest.mark.parametrize("text, reason", [
    ("철수는 서울대학교를 나왔다.", "object \"김철수\" does not stand"), ("김철수, 김철수는 서울대학교를 나왔다.", "2 times, and 1 times"),
    ("나는 큰김철수와 서울대학교에 갔다.", "only inside another word"), (SOURCE.text, "stands in the dataset already"),
    ("", "does not stand in it"),
])
def test_other_sentences_are_refused_with_the_reason(context, text, reason):
    assert reason in paraphrase(context, SOURCE, text)[1]


def test_of_several_places_the_one_with_the_same_number(context):
    source = kluere.Example("서울대학교는 서울에 있고, 서울은 넓다.", (7, 9), (0, 5), id="s")
    row, _ = paraphrase(context, source, "서울에 서울대학교가 있다. 그 서울은 아주 넓다.")
    assert row.subject == kluere.Entity(0, 2) and row.object_text == "서울대학교"
    row, _ = paraphrase(context, kluere.Example(source.text, (15, 17), (0, 5)), "서울에 서울대학교가 있다. 그 서울은 아주 넓다.")
    assert row.subject.begin == 17
    assert "1 times, and 2 times" not in (paraphrase(context, source, "서울에 서울대학교가 있다.")[1] or "")


def test_real_rows_take_their_own_words_in_another_order(train, tmp_path):
    """Each sentence with its halves exchanged: what is taken has its spans right."""
    some = train.subset(range(3000))
    pairs = []
    for number, row in enumerate(some):
        middle = row.text.find(" ", len(row.text) // 2)
        pairs.append((number, f"{row.text[middle + 1 :]} {row.text[:middle]}"))
    made, refused = some.add_paraphrases(pairs, keep_originals=False)
    assert len(made) + len(refused) == 3000 and len(made) > 2300
    assert spans_hold(written(made, tmp_path))
    for row in made:
        source = some[int(row.origin.rsplit("_", 1)[1])]
        assert (row.subject_text, row.object_text) == (source.subject_text, source.object_text)


def test_bad_arguments_of_paraphrases(context):
    rows = made_up.dataset(3, context=context)
    for pairs in ([("nobody", "가")], [(3, "가")]):
        with pytest.raises(ValueError):
            rows.add_paraphrases(pairs)
    with pytest.raises(IndexError):
        rows.add_paraphrases([(-1, "가")])
    made, refused = rows.add_paraphrases([("made-up-1", "가")])
    assert len(made) == 3 and refused[0].row == 1


# ---- Masked-LM


@pytest.fixture(scope="module")
def masked(tmp_path_factory, context):
    return kluere.Predictor(made_up.model(tmp_path_factory.mktemp("masked"), context=context, task="masked_lm"))


def test_a_masked_lm_says_words_anew(masked, context):
    rows = made_up.dataset(80, context=context)
    made = masked.fill_in(rows, seed=3)
    assert len(made) > 120
    for row in made[80:]:
        source = rows[int(row.origin.rsplit("-", 1)[1])]
        assert row.text != source.text and row.id == f"{row.origin}~fill"
        assert (row.subject_text, row.object_text, row.label) == (source.subject_text, source.object_text, source.label)
        words, old = row.text.split(" "), source.text.split(" ")
        assert len(words) == len(old)
        for word, before in zip(words, old):  # endings stay
            assert word == before or word[-1] == before[-1] or len(before.strip(",은.")) <= 2
    assert list(masked.fill_in(rows, seed=3)) == list(made)
    assert list(masked.fill_in(rows.subset(range(40)), seed=3, keep_originals=False)) == [
        row for row in made[80:] if int(row.origin.rsplit("-", 1)[1]) < 40]
    assert list(masked.fill_in(rows, seed=4)) != list(made)


def test_the_likeliest_piece_is_that_of_mask_logits(tmp_path, context):
    """With top_k 1: the largest logit at the mask among pieces that may begin a word, found here once more."""
    model = made_up.model(tmp_path, context=context, task="masked_lm")
    predictor, tokenizer = kluere.Predictor(model), model.tokenizer
    pieces = [tokenizer.token(i) for i in range(len(tokenizer))]
    for seed in range(8):
        row = kluere.Example("가나 다 라마 사", (0, 2, "PER"), (8, 9, "PER"), id="x")
        rows = kluere.Dataset.create([row], context=context)
        made = predictor.fill_in(rows, top_k=1, word_share=0.01, keep_originals=False, seed=seed)[0]
        (place,) = [i for i, (a, b) in enumerate(zip(row.text.split(), made.text.split())) if a != b]
        encoded = tokenizer.encode(row.text)
        begin = row.text.index(row.text.split()[place])
        masked_at = [i for i, (b, e) in enumerate(encoded.offsets) if b == begin and e > b][0]
        old = encoded.ids[masked_at]
        ids = list(encoded.ids)
        ids[masked_at] = tokenizer.id("[MASK]")
        logits = list(predictor.mask_logits([ids], [masked_at])[0])
        able = [i for i, piece in enumerate(pieces) if piece.isalnum() and i != old]
        best = pieces[max(able, key=lambda i: logits[i])]
        assert made.text.split()[place].startswith(best)


def test_a_judge_keeps_rows_whose_label_it_sees(masked, tmp_path, context):
    rows = made_up.dataset(60, context=context)
    model = made_up.model(tmp_path, context=context, seed=9)
    judge = kluere.Predictor(model)
    everything = masked.fill_in(rows, keep_originals=False)
    agreed = [row for row in everything if model.best(row)[0][0] == row.label]
    assert 0 < len(agreed) < len(everything)
    kept = masked.fill_in(rows, judge=judge, keep_originals=False)
    assert list(kept) == agreed


def test_fill_in_refuses_other_models(masked, tmp_path, context):
    rows = made_up.dataset(4, context=context)
    labels = kluere.Predictor(made_up.model(tmp_path, context=context))
    with pytest.raises(kluere.KluereError, match="masked-LM head"):
        labels.fill_in(rows)
    with pytest.raises(kluere.KluereError):
        masked.fill_in(rows, judge=masked)
    for options in (dict(top_k=0), dict(row_share=2), dict(word_share=0)):
        with pytest.raises(kluere.InvalidArgument):
            masked.fill_in(rows, **options)
