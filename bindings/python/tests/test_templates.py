"""Templates of one's own, particles, cropping, growing vocabularies, and the way back through a folder."""

import json
import unicodedata

import pytest

import kluere

transformers = pytest.importorskip("transformers")

TEXT = "솔가람은 늘봄시에서 태어났다."
EXAMPLE = kluere.Example(TEXT, (0, 3, "PER"), (5, 8, "LOC"))
ISSUE = "{subject_type}인 {subject}와 {object_type}인 {object}의 관계는? [SEP] {marked_sentence}"


@pytest.fixture(scope="module")
def tokenizer(real_data):
    return kluere.Tokenizer(real_data / "tokenizers" / "klue-roberta")


@pytest.fixture(scope="module")
def theirs(real_data):
    return transformers.BertTokenizerFast.from_pretrained(str(real_data / "tokenizers" / "klue-roberta"))


def model(tokenizer, context, **options):
    return kluere.Model.create(tokenizer, hidden_size=4, layer_count=1, head_count=1, context=context, **options)


def tokens(model, example=EXAMPLE):
    return [model.tokenizer.token(id) for id in model.encode(example).ids]


def test_a_template_of_ones_own(tokenizer, theirs, context):
    ours = model(tokenizer, context, input_template=ISSUE, particles="agree")
    expected = theirs(
        "사람인 솔가람과 장소인 늘봄시의 관계는?", "@ * 사람 * 솔가람 @ 은 # ^ 장소 ^ 늘봄시 # 에서 태어났다."
    )
    assert ours.encode(EXAMPLE).ids == expected["input_ids"]
    assert ours.config.input_form == "template" and ours.config.input_template == ISSUE


def test_braces_special_tokens_and_own_types(tokenizer, theirs, context):
    ours = model(tokenizer, context, input_template="{{{subject_type:raw}}} [MASK] {object_type:english}[SEP]{sentence}")
    example = kluere.Example(TEXT, (0, 3, "MY_TYPE"), (5, 8, "OTHER_one"))
    expected = theirs("{MY_TYPE} [MASK] other one", TEXT)
    assert ours.encode(example).ids == expected["input_ids"]
    # What users write never becomes a special token.
    example = kluere.Example("[SEP] 나라", (0, 5), (6, 8))
    ids = model(tokenizer, context, input_form="prompt_relation").encode(example).ids
    assert ids.count(theirs.sep_token_id) == 2


def read_aloud(word):
    """"vowel", "l" or "closed", by the rules of docs/input_forms.md; None where they say nothing."""
    word = word.rstrip("".join(c for c in set(word) if not c.isalnum()))
    if not word:
        return None
    last = word[-1]
    letters = unicodedata.normalize("NFD", last)
    if "가" <= last <= "힣":
        return "vowel" if len(letters) == 2 else "l" if letters[2] == "\u11af" else "closed"
    if last in "0123456789":
        return {"1": "l", "7": "l", "8": "l", "0": "closed", "3": "closed", "6": "closed"}.get(last, "vowel")
    if last in "Ll" or last == "R":
        return "l"
    if last in "MNmnbckpt" or word.endswith(("ng", "Ng")):
        return "closed"
    return "vowel" if last.isascii() and last.isalpha() else None


def test_particles_agree_in_real_sentences(tokenizer, theirs, real_data, context):
    rows = json.loads((real_data / "klue-re" / "klue-re-v1.1_dev.json").read_text(encoding="utf-8"))[::20]
    agreeing = model(tokenizer, context, input_form="prompt_relation", particles="agree", max_tokens=512)
    written = model(
        tokenizer, context, max_tokens=512, input_template="{subject}{으로/로} {object}{는/은} 본다 [SEP] {sentence}"
    )
    seen = set()
    for row in rows:
        spans = [(e["start_idx"], e["end_idx"] + 1) for e in (row["subject_entity"], row["object_entity"])]
        example = kluere.Example(row["sentence"], *spans)
        s, o = example.subject_text, example.object_text
        sound, other = read_aloud(s), read_aloud(o)
        seen.add(sound)
        text = f"{s}{'과' if sound in ('closed', 'l') else '와'} {o}의 관계"
        assert agreeing.encode(example).ids == theirs(text, row["sentence"])["input_ids"], text
        toward = "로" if sound in ("vowel", "l") else "으로"
        text = f"{s}{toward} {o}{'은' if other in ('closed', 'l') else '는'} 본다"
        assert written.encode(example).ids == theirs(text, row["sentence"])["input_ids"], text
    assert seen >= {"vowel", "l", "closed"}


@pytest.mark.parametrize(
    "template, message",
    [
        ("", "character 0: .*nowhere"),
        ("가나 {subjct} {sentence}", r"character 3: \{subjct\} is no placeholder"),
        ("{sentence", 'character 0: "{" is not closed'),
        ("{sentence} }", 'character 11: "}" closes nothing'),
        ("{sentence} {marked_sentence}", "character 28: .*2 times"),
        ("{marked_sentence:bert} ", "character 0: .*expected one of entity_mask, entity_marker"),
        ("{와/과} {sentence}", "character 0: .*no text before it"),
        ("☃{sentence}", 'no piece for "☃"'),
        ("가" * 2000 + "{sentence}", "expected at most 4096"),
        ("가 " * 300 + "{sentence}", "max_tokens: 256, the input form template alone has"),
    ],
)
def test_bad_templates_are_refused_with_place_and_reason(template, message, tokenizer, context):
    with pytest.raises(kluere.KluereError, match=message):
        model(tokenizer, context, input_template=template)


def test_a_template_with_another_form_is_refused(tokenizer, context):
    with pytest.raises(kluere.KluereError, match="input_template: given with the input form klue"):
        model(tokenizer, context, input_form="klue", input_template="{sentence}")


@pytest.mark.parametrize("form", ["typed_marker", "klue", "report_5", "entity_mask", "entity_pair", "semantic_typing"])
def test_cropping_keeps_markers_and_is_reported(form, tokenizer, real_data, context):
    rows = json.loads((real_data / "klue-re" / "klue-re-v1.1_dev.json").read_text(encoding="utf-8"))[::40]
    whole = model(tokenizer, context, input_form=form, max_tokens=512)
    short = model(tokenizer, context, input_form=form, max_tokens=48)
    cropped = 0
    for row in rows:
        spans = [(e["start_idx"], e["end_idx"] + 1, e["type"]) for e in (row["subject_entity"], row["object_entity"])]
        example = kluere.Example(row["sentence"], *spans)
        before, after = whole.encode(example), short.encode(example)
        old, new = whole.input_places(example), short.input_places(example)
        assert new.cropped == len(before) - len(after) and len(after) <= 48
        for a, b in [(old.subject, new.subject), (old.object, new.object)]:
            for part in [("marker_begin", "begin"), ("begin", "end"), ("end", "marker_end")]:
                first, second = ((getattr(p, part[0]), getattr(p, part[1])) for p in (a, b))
                assert before.ids[slice(*first)] == after.ids[slice(*second)]
        assert after.ids[0] == before.ids[0] and after.ids[-1] == before.ids[-1]
        cropped += new.cropped > 0
    assert cropped > 30


@pytest.mark.parametrize(
    "options",
    [
        {"input_form": "klue"},
        {"input_form": "report_6", "particles": "agree"},
        {"input_form": "typed_marker_punct", "after_marker": "continuation"},
        {"input_template": ISSUE, "particles": "agree", "after_marker": "klue_repair"},
    ],
)
def test_a_saved_model_reopens_with_its_form(options, tokenizer, tmp_path, context):
    saved = model(tokenizer, context, **options)
    saved.save(tmp_path / "model")
    opened = kluere.Model.open(tmp_path / "model", context=context)
    assert opened.encode(EXAMPLE) == saved.encode(EXAMPLE)
    for field in ("input_form", "input_template", "particles", "after_marker"):
        assert getattr(opened.config, field) == getattr(saved.config, field)
    assert len(transformers.AutoTokenizer.from_pretrained(str(tmp_path / "model"))) == len(saved.tokenizer)


def test_an_opened_model_grows_for_its_markers(tokenizer, tmp_path, context):
    model(tokenizer, context, input_form="entity_pair").save(tmp_path / "model")
    grown = kluere.Model.open(tmp_path / "model", input_form="typed_marker", context=context)
    assert len(grown.tokenizer) == 32000 + 28 and grown.vocabulary_size == 32028
    assert tokens(grown)[:2] == ["[CLS]", "[SUBJ-PER]"]
    assert [len(row) for row in grown.predict([EXAMPLE])] == [30]
    # An own type has the marker without a type.
    other = kluere.Example(TEXT, (0, 3, "TEAM"), (5, 8))
    assert {"[SUBJ]", "[/SUBJ]", "[OBJ]", "[/OBJ]"} <= set(tokens(grown, other))
