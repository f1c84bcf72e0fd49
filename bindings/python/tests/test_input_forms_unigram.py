"""The input forms with SentencePiece and unigram tokenizers of XLM-R's shape: the strings of test_input_forms.py, tokenized by
transformers. A real Korean model of 64,000 pieces, as its own file and as the tokenizer.json that transformers makes of it.
KLUERE_ALL_ROWS=1: every sentence of dev.
"""

import pytest

import kluere
import test_input_forms as forms
from test_input_forms import rows  # noqa: F401, a fixture

transformers = pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")

ADDED = list(dict.fromkeys(token for tokens in forms.ADDED.values() for token in tokens))
# Where a mark, a type's words and a text are parts of their own, they are words of their own.
MARKERS = {
    **forms.MARKERS,
    "report_4": [
        (lambda t: f"@ *[{forms.word('report_4', t)}]*", lambda t: "@"),
        (lambda t: f"# ^[{forms.word('report_4', t)}]^", lambda t: "#"),
    ],
}
PROMPTS = {**forms.PROMPTS, "entity_pair": lambda s, o, a, b: f"{s}</s></s>{o}"}


class Pair:
    """A tokenizer of ours and transformers' own, with every form's tokens added."""

    def __init__(self, ours, theirs):
        self.ours, self.theirs, self.base = kluere.Tokenizer(ours), theirs, len(theirs)
        theirs.add_special_tokens({"additional_special_tokens": ADDED})
        self.vocabulary = theirs.get_vocab()

    def theirs_named(self, ids):
        return [id if id < self.base else self.theirs.convert_ids_to_tokens(id) for id in ids]

    def ours_named(self, model, ids):
        return [id if id < self.base else model.tokenizer.token(id) for id in ids]


def as_xlm_roberta(source):
    """A T5 model with XLM-R's three pieces in front: <unk>, <s>, </s> for <pad>, </s>, <unk>."""
    content = pytest.importorskip("transformers.convert_slow_tokenizer").import_protobuf().ModelProto()
    content.ParseFromString(source.read_bytes())
    assert [piece.piece for piece in content.pieces[:3]] == ["<pad>", "</s>", "<unk>"]
    unknown, control = content.pieces[2].type, content.pieces[1].type
    for piece, text, kind in zip(content.pieces, ["<unk>", "<s>", "</s>"], [unknown, control, control]):
        piece.piece, piece.type = text, kind
    content.trainer_spec.unk_id, content.trainer_spec.bos_id, content.trainer_spec.eos_id = 0, 1, 2
    content.trainer_spec.pad_id = -1
    return content.SerializeToString()


@pytest.fixture(scope="module", params=["sentencepiece.bpe.model", "tokenizer.json"])
def pair(request, real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unigram")
    content = as_xlm_roberta(real_data / "tokenizers" / "sentencepiece-ke-t5" / "sentencepiece.model")
    (folder / "sentencepiece.bpe.model").write_bytes(content)
    theirs = transformers.XLMRobertaTokenizer.from_pretrained(folder)
    if request.param == "tokenizer.json":
        folder = folder / "saved"
        theirs.save_pretrained(folder)
    return Pair(folder, theirs)


def model(pair, context, **options):
    return kluere.Model.create(
        pair.ours, family="xlm_roberta", hidden_size=4, layer_count=1, head_count=1, max_positions=1024, max_tokens=1024,
        head="entity_start",
        context=context, **options,
    )


def check(pair, ours, form, row, encoded, places):
    tokens = ours.encode(row[3])
    assert pair.ours_named(ours, tokens.ids) == pair.theirs_named(encoded["input_ids"]), row
    assert set(tokens.type_ids) == {0}
    found = ours.input_places(row[3])
    assert (found.cls, found.cropped) == (0, 0)
    assert [forms.as_tuple(found.subject), forms.as_tuple(found.object)] == places, row


@pytest.mark.parametrize("form", forms.FORMS)
def test_ids_and_places_of_real_sentences(form, pair, rows, context, monkeypatch):  # noqa: F811
    monkeypatch.setattr(forms, "MARKERS", MARKERS)
    monkeypatch.setattr(forms, "PROMPTS", PROMPTS)
    ours = model(pair, context, input_form=form, after_marker="new_word")
    checked = 0
    for row in forms.sample(rows, form):
        if form == "entity_mask" and not (row[1][1] <= row[2][0] or row[2][1] <= row[1][0]):
            continue
        encoded, _, _, places = forms.reference(pair.theirs, form, row)
        check(pair, ours, form, row, encoded, places)
        checked += 1
    assert checked > len(forms.sample(rows, form)) * 0.95


def rest_of_word(theirs, text):
    """Ids of a text as it is segmented without a space before it."""
    backend = theirs.backend_tokenizer
    return [token.id for token in backend.model.tokenize(backend.normalizer.normalize_str(text))]


def continued(pair, encoded, places, row, after_marker):
    """ids with what stands behind a closing marker as a continuation."""
    text, vocabulary = row[0], pair.vocabulary
    ids, replaced = list(encoded["input_ids"]), []
    clean = pair.theirs(text, add_special_tokens=False)
    inside = [(p[0], p[1]) for p in places] + [(p[2], p[3]) for p in places]
    for closing, at in ((places[n][3], row[1 + n][1]) for n in (0, 1)):
        token = encoded.char_to_token(closing)
        if at >= len(text) or text[at].isspace() or token is None or any(b <= closing < e for b, e in inside):
            continue  # the end, a space, or another marker
        if after_marker == "klue_repair":
            piece = pair.theirs.convert_ids_to_tokens(ids[token])
            if piece == "▁":
                replaced.append((token, token + 1, []))
            elif piece.startswith("▁") and piece[1:] in vocabulary:
                replaced.append((token, token + 1, [vocabulary[piece[1:]]]))
            continue
        before, after = clean.char_to_word(at - 1), clean.char_to_word(at)
        if before is None or before != after:
            continue
        numbers = encoded.word_ids(0)
        stop = token
        while stop < len(numbers) and numbers[stop] == numbers[token]:
            stop += 1
        end = at
        while end < len(text) and not text[end].isspace() and end not in (row[1][0], row[2][0]):
            end += 1
        replaced.append((token, stop, rest_of_word(pair.theirs, text[at:end])))
    for token, stop, pieces in sorted(replaced, reverse=True):
        ids[token:stop] = pieces
    return ids


@pytest.mark.parametrize("after_marker", ["continuation", "klue_repair"])
@pytest.mark.parametrize("form", ["typed_marker_punct", "klue"])
def test_words_that_a_marker_cuts(form, after_marker, pair, rows, context):  # noqa: F811
    ours = model(pair, context, input_form=form, after_marker=after_marker)
    changed = 0
    for row in forms.sample(rows, form):
        encoded, _, places, _ = forms.reference(pair.theirs, form, row)
        ids = continued(pair, encoded, places, row, after_marker)
        assert pair.ours_named(ours, ours.encode(row[3]).ids) == pair.theirs_named(ids), row
        changed += ids != encoded["input_ids"]
    assert changed > len(forms.sample(rows, form)) * 0.5


TEXT = "솔가람은 늘봄시에서 태어났다."
EXAMPLE = kluere.Example(TEXT, (0, 3, "PER"), (5, 8, "LOC"))


@pytest.mark.parametrize(
    "template, particles, text, second",
    [
        (
            "{subject_type}인 {subject}와 {object_type}인 {object}의 관계는? [SEP] {marked_sentence}", "agree",
            "사람인 솔가람과 장소인 늘봄시의 관계는?", "@ * 사람 * 솔가람 @ 은 # ^ 장소 ^ 늘봄시 # 에서 태어났다.",
        ),
        ("{sentence}[SEP]{subject}{은/는} {object}?", "fixed", TEXT, "솔가람은 늘봄시?"),
        # The report's model 5 with the question of its script.
        (
            "{marked_sentence:report_5}[SEP][SE] {subject} ({subject_type:report_5}) [/SE]와 [OE] {object} "
            "({object_type:report_5}) [/OE]의 관계는 무엇인가?", "fixed",
            "[SE] 솔가람 (인물) [/SE] 은 [OE] 늘봄시 (장소) [/OE] 에서 태어났다.",
            "[SE] 솔가람 (인물) [/SE]와 [OE] 늘봄시 (장소) [/OE]의 관계는 무엇인가?",
        ),
        # One </s> where its own name is written.
        ("{subject}</s>{sentence}", "fixed", f"솔가람</s>{TEXT}", None),
    ],
)
def test_templates(template, particles, text, second, pair, context):
    ours = model(pair, context, input_template=template, particles=particles)
    expected = pair.theirs(text, second)["input_ids"]
    assert pair.ours_named(ours, ours.encode(EXAMPLE).ids) == pair.theirs_named(expected)


@pytest.mark.parametrize("form", ["typed_marker", "klue", "report_4", "report_5", "entity_pair", "prompt_typed_nouns"])
def test_cropping_keeps_markers(form, pair, rows, context):  # noqa: F811
    whole = model(pair, context, input_form=form)
    short = kluere.Model.create(
        pair.ours, family="xlm_roberta", hidden_size=4, layer_count=1, head_count=1, max_tokens=56, context=context,
        input_form=form,
    )
    cropped = 0
    for row in rows[::60]:
        before, after = whole.encode(row[3]), short.encode(row[3])
        old, new = whole.input_places(row[3]), short.input_places(row[3])
        assert new.cropped == len(before) - len(after) and len(after) <= 56
        for a, b in [(old.subject, new.subject), (old.object, new.object)]:
            assert before.ids[a.marker_begin : a.begin] == after.ids[b.marker_begin : b.begin]
            assert before.ids[a.end : a.marker_end] == after.ids[b.end : b.marker_end]
            assert before.ids[a.begin] == after.ids[b.begin]
        assert after.ids[0] == before.ids[0] and after.ids[-1] == before.ids[-1]
        cropped += new.cropped > 0
    assert cropped > 30


def test_marks_that_a_vocabulary_cannot_write_are_refused(unigram_models, tmp_path, context):
    (tmp_path / "sentencepiece.bpe.model").write_bytes(unigram_models(False).read_bytes())
    tokenizer = kluere.Tokenizer(tmp_path)
    options = dict(family="xlm_roberta", hidden_size=4, layer_count=1, head_count=1, context=context)
    with pytest.raises(kluere.KluereError, match='r_bert: the vocabulary has no piece for ".".*another form'):
        kluere.Model.create(tokenizer, input_form="r_bert", **options)
    kluere.Model.create(tokenizer, input_form="typed_marker", **options)


def test_a_saved_model_reopens_with_its_form(pair, tmp_path, context):
    saved = model(pair, context, input_form="report_6", after_marker="continuation", particles="agree")
    saved.save(tmp_path / "model")
    opened = kluere.Model.open(tmp_path / "model", context=context)
    assert opened.encode(EXAMPLE) == saved.encode(EXAMPLE)
    assert opened.input_places(EXAMPLE) == saved.input_places(EXAMPLE)
    assert len(transformers.AutoTokenizer.from_pretrained(str(tmp_path / "model"))) == len(saved.tokenizer)
