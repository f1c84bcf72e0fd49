"""Masked-LM training against transformers and torch: masks in distribution, loss and gradients on the same masks, AdamW
steps, perplexity; and what every trainer must do: the same bits however it is run, stopped and resumed."""

import json

import pytest

import kluere
import made_up
from test_model_families import SHAPES, counts_from_padding, reference, vocabulary, write

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
stats = pytest.importorskip("scipy.stats")

FAMILIES = ["bert", "roberta", "xlm-roberta", "electra"]
TIED, UNTIED = list(SHAPES)[0], list(SHAPES)[1]
STILL = dict(hidden_dropout=0, attention_dropout=0)
OPTIONS = dict(max_steps=10, batch_sentences=8, learning_rate=1e-3, seed=7)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def lines(count, seed=0, longest=30):
    return [example.text for example in made_up.examples(count, ["no_relation"], seed, longest)]


def small(folder, context=None, family="roberta", **config):
    return made_up.model(folder / "tokenizer", task="masked_lm", family=family, context=context, seed=3, **config)


def weights(model):
    return {name: numpy.asarray(model.tensors[name]).copy() for name in model.tensors}


def same(a, b):
    return a.keys() == b.keys() and all(numpy.array_equal(a[name], b[name]) for name in a)


# ---- rows


def test_lines_become_rows_and_long_ones_are_cut(vocabulary):
    tokenizer = kluere.Tokenizer(vocabulary)
    text = lines(20) + ["", "   ", "가 나"]
    corpus = kluere.Corpus.create(text, tokenizer, max_tokens=16)
    expected, cut = [], 0
    for line in text:
        ids = tokenizer.encode(line).ids
        cls, ids, sep = ids[0], ids[1:-1], ids[-1]
        expected += [[cls, *ids[i : i + 14], sep] for i in range(0, len(ids), 14)]
        cut += len(ids) > 14
    assert [corpus.row(i)[0] for i in range(len(corpus))] == expected
    assert corpus.row(0)[1] == [0] * len(expected[0])
    assert corpus.info == kluere.CorpusInfo(len(expected), sum(map(len, expected)), 21, cut, 0)


def test_packed_rows_are_full_and_documents_are_separated(vocabulary):
    tokenizer = kluere.Tokenizer(vocabulary)
    documents = [lines(5, seed=1), lines(7, seed=2)]
    text = documents[0] + ["", ""] + documents[1]
    corpus = kluere.Corpus.create(text, tokenizer, max_tokens=20, rows="pack")
    pieces = [[id for line in document for id in tokenizer.encode(line).ids[1:-1]] for document in documents]
    cls, sep = tokenizer.id("[CLS]"), tokenizer.id("[SEP]")
    stream = pieces[0] + [sep] + pieces[1]
    rows = [[cls, *stream[i : i + 18], sep] for i in range(0, len(stream), 18)]
    assert [corpus.row(i)[0] for i in range(len(corpus))] == rows


def test_files_are_read_as_lines_are(vocabulary, tmp_path):
    tokenizer = kluere.Tokenizer(vocabulary)
    text = lines(12)
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(text[:5]).encode())
    (tmp_path / "b.txt").write_text("\n\n".join(text[5:]) + "\n", encoding="utf-8")
    (tmp_path / "empty.txt").write_bytes(b"")
    read = kluere.Corpus.read([tmp_path / name for name in ("a.txt", "empty.txt", "b.txt")], tokenizer)
    made = kluere.Corpus.create(text, tokenizer)
    assert [read.row(i) for i in range(len(read))] == [made.row(i) for i in range(len(made))]
    with pytest.raises(kluere.InvalidArgument, match="no line has a token"):
        kluere.Corpus.read(tmp_path / "empty.txt", tokenizer)
    with pytest.raises(kluere.KluereError, match="none.txt"):
        kluere.Corpus.read(tmp_path / "none.txt", tokenizer)


def test_lines_that_are_not_utf8_are_refused_by_number_or_skipped(vocabulary, tmp_path):
    tokenizer = kluere.Tokenizer(vocabulary)
    (tmp_path / "text").write_bytes("가 나\n".encode() + b"\xed\xa0\x80 x\n" + "다".encode())
    with pytest.raises(kluere.KluereError, match="text: line 2: byte 0 of 5"):
        kluere.Corpus.read(tmp_path / "text", tokenizer)
    skipped = kluere.Corpus.read(tmp_path / "text", tokenizer, bad_lines="skip")
    assert len(skipped) == 2 and skipped.info.skipped == 1
    with pytest.raises(kluere.KluereError, match=r"lines\[1\]: byte 1"):
        kluere.Corpus.create(["가", b"a\xff"], tokenizer)


def test_a_line_without_end_is_tokenized_in_parts(vocabulary):
    tokenizer = kluere.Tokenizer(vocabulary)
    text = "가나 다라 " * 120_000  # more than 1 MiB
    corpus = kluere.Corpus.create([text], tokenizer, max_tokens=512, rows="pack")
    ids = [id for i in range(len(corpus)) for id in corpus.row(i)[0][1:-1]]
    assert ids == tokenizer.encode("가나 다라").ids[1:-1] * 120_000


@pytest.mark.parametrize("form", ["entity_pair", "typed_marker_punct"])
def test_datasets_in_an_input_form_are_what_a_classifier_sees(tmp_path, form):
    rows = made_up.dataset(20, seed=4)
    classifier = made_up.model(tmp_path / "tokenizer", family="bert", input_form=form, max_tokens=40)
    tokenizer = classifier.tokenizer
    corpus = kluere.Corpus.from_datasets([rows[:12], rows[12:]], tokenizer, input_form=form, max_tokens=40)
    seen = [classifier.encode(example) for example in rows]
    assert [corpus.row(i) for i in range(len(corpus))] == [(one.ids, one.type_ids) for one in seen]
    plain = kluere.Corpus.from_datasets(rows, tokenizer, max_tokens=400)
    assert [plain.row(i)[0] for i in range(20)] == [tokenizer.encode(example.text).ids for example in rows]
    with pytest.raises(kluere.InvalidArgument, match="input_form.*packed"):
        kluere.Corpus.from_datasets(rows, tokenizer, input_form=form, rows="pack")


def test_an_input_form_whose_tokens_are_missing_is_refused(vocabulary):
    rows = made_up.dataset(3)
    with pytest.raises(kluere.KluereError, match=r"\[E1\]"):
        kluere.Corpus.from_datasets(rows, kluere.Tokenizer(vocabulary), input_form="entity_marker")
    tokenizer = kluere.Tokenizer(vocabulary, added_special_tokens=["[E1]", "[/E1]", "[E2]", "[/E2]"])
    corpus = kluere.Corpus.from_datasets(rows, tokenizer, input_form="entity_marker")
    assert tokenizer.id("[E1]") in corpus.row(0)[0]


# ---- masks


def counts(pairs, special, mask_id):
    """Of (true ids, shown ids, labels): how often a token was not asked for, masked, replaced, kept; the replacements."""
    table, random, asked = [0, 0, 0, 0], [], 0
    for true, shown, labels in pairs:
        for old, new, label in zip(true, shown, labels):
            if label == -100:
                assert new == old
                table[0] += old not in special
                continue
            assert label == old and old not in special
            kind = 1 if new == mask_id else 3 if new == old else 2
            table[kind] += 1
            if kind == 2:
                random.append(new)
    return table, random


def test_masks_are_those_of_transformers_in_distribution(vocabulary):
    tokenizer = kluere.Tokenizer(vocabulary)
    theirs = transformers.AutoTokenizer.from_pretrained(vocabulary)
    text = ["모르는 漢字 " + line for line in lines(150, longest=40)]
    corpus = kluere.Corpus.create(text, tokenizer, max_tokens=128)
    true = [corpus.row(i)[0] for i in range(len(corpus))]
    special, mask_id = set(theirs.all_special_ids), theirs.mask_token_id
    assert tokenizer.id("[UNK]") in true[0] and tokenizer.id("[UNK]") in special
    passes = 12
    mine = [(true[i], *corpus.mask(i, seed=5, pass_number=p)) for p in range(passes) for i in range(len(true))]
    torch.manual_seed(1)
    collate = transformers.DataCollatorForLanguageModeling(theirs, mlm_probability=0.15)
    hf = []
    for _ in range(passes):
        for row in true:
            out = collate([{"input_ids": row}])
            hf.append((row, out["input_ids"][0].tolist(), out["labels"][0].tolist()))
    ours, random = counts(mine, special, mask_id)
    expected, _ = counts(hf, special, mask_id)
    assert stats.chi2_contingency([ours, expected]).pvalue > 1e-3, (ours, expected)
    total = sum(ours)
    chances = numpy.array([0.85, 0.15 * 0.8, 0.15 * 0.1, 0.15 * 0.1]) * total
    assert stats.chisquare(ours, chances * sum(ours) / chances.sum()).pvalue > 1e-3
    # Random pieces: over the whole vocabulary, special tokens among them; those that show the mask count as masks here.
    found = numpy.bincount(random, minlength=len(tokenizer))
    others = numpy.arange(len(tokenizer)) != mask_id
    assert found[~others] == 0 and stats.chisquare(found[others]).pvalue > 1e-3
    # By place: each token of a row is asked for alike, and neighbours apart from each other.
    place = numpy.zeros(10)
    both = 0
    long = [labels for _, _, labels in mine if len(labels) > 20]
    for labels in long:
        place += numpy.array(labels[8:18]) != -100
        both += labels[8] != -100 and labels[9] != -100
    assert stats.chisquare(place).pvalue > 1e-3
    assert stats.binomtest(both, len(long), 0.15**2).pvalue > 1e-3


def test_masks_are_a_function_of_seed_pass_and_row(vocabulary):
    corpus = kluere.Corpus.create(lines(3) * 2, kluere.Tokenizer(vocabulary))
    assert corpus.row(0) == corpus.row(3)
    found = [corpus.mask(i, seed=s, pass_number=p) for i in (0, 3) for s in (1, 2) for p in (0, 1)]
    assert len({tuple(labels) for _, labels in found}) == len(found)
    assert found == [corpus.mask(i, seed=s, pass_number=p) for i in (0, 3) for s in (1, 2) for p in (0, 1)]


def test_whole_words_are_masked_or_none_of_their_pieces(vocabulary):
    tokenizer = kluere.Tokenizer(vocabulary)
    corpus = kluere.Corpus.create(lines(120), tokenizer)
    continues = [tokenizer.token(id).startswith("##") for id in range(len(tokenizer))]
    words = asked = pieces = 0
    for i in range(len(corpus)):
        ids = corpus.row(i)[0]
        _, labels = corpus.mask(i, whole_words=True)
        for place in range(1, len(ids) - 1):
            if continues[ids[place]]:
                assert (labels[place] == -100) == (labels[place - 1] == -100)
            else:
                words += 1
                asked += labels[place] != -100
            pieces += labels[place] != -100
    assert pieces > asked and stats.binomtest(asked, words, 0.15).pvalue > 1e-3


def unigram_folder(folder):
    """A tokenizer as XLM-R's, with a few pieces."""
    backends = pytest.importorskip("tokenizers")
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    words = ["▁", "▁대한", "민국", "▁서울", "특별", "시", "의", "▁수도", "는", ",", "▁인구"]
    pieces = [(token, 0.0) for token in special] + [(word, -2.0 - i / 10) for i, word in enumerate(words)]
    tokenizer = backends.Tokenizer(backends.models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = backends.pre_tokenizers.Metaspace()
    tokenizer.decoder = backends.decoders.Metaspace()
    tokenizer.add_special_tokens([*special, "<mask>"])
    tokenizer.post_processor = backends.processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = dict(bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>", unk_token="<unk>")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", mask_token="<mask>", **names
    ).save_pretrained(folder)
    return kluere.Tokenizer(folder)


def test_words_of_a_unigram_model_begin_with_a_space(tmp_path):
    tokenizer = unigram_folder(tmp_path)
    text = ["대한민국의 수도는 서울특별시, 인구"] * 200
    corpus = kluere.Corpus.create(text, tokenizer)
    ids = corpus.row(0)[0]
    expected = ["<s>", "▁대한", "민국", "의", "▁수도", "는", "▁서울", "특별", "시", ",", "▁인구", "</s>"]
    assert [tokenizer.token(id) for id in ids] == expected
    patterns = set()
    for i in range(200):
        _, labels = corpus.mask(i, whole_words=True, mask_probability=0.5)
        patterns.add(tuple(label != -100 for label in labels))
    words = [slice(1, 4), slice(4, 6), slice(6, 10), slice(10, 11)]
    for pattern in patterns:
        assert all(len(set(pattern[word])) == 1 for word in words) and not pattern[0] and not pattern[-1]
    assert len(patterns) == 16


def test_ids_may_have_more_than_16_bits(tmp_path):
    made_up.write_tokenizer(tmp_path)
    with open(tmp_path / "vocab.txt", "a", encoding="utf-8") as file:
        file.write("".join(f"쓰지{i}\n" for i in range(70_000)))
    tokenizer = kluere.Tokenizer(tmp_path)
    text = ["가 쓰지69999 나", "쓰지1 쓰지66000"]
    corpus = kluere.Corpus.create(text, tokenizer)
    assert [corpus.row(i)[0] for i in range(2)] == [tokenizer.encode(line).ids for line in text]
    assert max(corpus.row(0)[0]) > 65_536


def test_shares_at_their_ends(vocabulary):
    tokenizer = kluere.Tokenizer(vocabulary)
    corpus = kluere.Corpus.create(["가나다 라마 바사아"], tokenizer)
    ids = corpus.row(0)[0]
    assert tokenizer.id("[UNK]") not in ids
    shown, labels = corpus.mask(0, mask_probability=1, mask_share=1, random_share=0)
    assert labels == [-100, *ids[1:-1], -100] and set(shown[1:-1]) == {tokenizer.id("[MASK]")}
    shown, labels = corpus.mask(0, mask_probability=1, mask_share=0, random_share=0)
    assert shown == ids and labels == [-100, *ids[1:-1], -100]
    for wrong in (dict(mask_probability=0), dict(mask_probability=1.5), dict(mask_share=0.8, random_share=0.3)):
        with pytest.raises(kluere.InvalidArgument, match="mask_share|mask_probability"):
            corpus.mask(0, **wrong)


# ---- loss, gradients, updates


def torch_loss(model, family, rows, reduction="mean"):
    """Mean cross-entropy over what the rows (shown ids, labels, types) ask for, one row at a time: no padding."""
    total, asked, correct = 0.0, 0, 0
    for shown, labels, types in rows:
        kinds = {} if counts_from_padding(family) else dict(token_type_ids=torch.tensor([types]))
        logits = model(input_ids=torch.tensor([shown]), **kinds).logits[0]
        target = torch.tensor(labels)
        total = total + torch.nn.functional.cross_entropy(logits, target, ignore_index=-100, reduction="sum")
        asked += int((target != -100).sum())
        correct += int((logits.argmax(-1) == target)[target != -100].sum())
    return total / asked, asked, correct


def masked_rows(corpus, seed, number):
    return [(*corpus.mask(i, seed=seed, pass_number=number), corpus.row(i)[1]) for i in range(len(corpus))]


def relative(found, expected):
    found, expected = numpy.float64(found), numpy.float64(expected)
    return numpy.linalg.norm(found - expected) / max(numpy.linalg.norm(expected), 1e-12)


@pytest.mark.parametrize("shape", [TIED, UNTIED], ids=["tied", "untied"])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_those_of_transformers_on_the_same_masks(family, shape, tmp_path, context):
    theirs = reference(family, shape, "masked_lm")
    ours = kluere.Model.open(write(theirs, tmp_path / "model", family, "one file"), task="masked_lm", context=context)
    rows = made_up.dataset(12, seed=2)
    form = None if counts_from_padding(family) else "entity_pair"
    corpus = kluere.Corpus.from_datasets(rows, ours.tokenizer, max_tokens=100, input_form=form)
    trainer = kluere.MaskedLMTrainer(
        ours, corpus, batch_sentences=len(corpus), max_steps=1, learning_rate=1e-12, max_grad_norm=0, seed=9, **STILL
    )
    info = trainer.step()
    theirs.double()
    loss, _, _ = torch_loss(theirs, family, masked_rows(corpus, 9, 0))
    assert info.loss == pytest.approx(loss.item(), rel=1e-5)
    loss.backward()
    gradients = trainer.gradients
    norm = numpy.sqrt(sum(float((p.grad**2).sum()) for p in theirs.parameters() if p.grad is not None))
    assert info.grad_norm == pytest.approx(norm, rel=1e-4)
    # What is tied has two names there, one here.
    expected = {n: p.grad for n, p in theirs.named_parameters(remove_duplicate=False) if p.grad is not None}
    assert set(gradients) <= set(expected)
    assert len(gradients) == sum(p.grad is not None for p in theirs.parameters())
    for name in gradients:
        if not name.endswith("attention.self.key.bias"):  # 0 but for rounding
            assert relative(gradients[name], expected[name].numpy()) < 1e-4, name


@pytest.mark.parametrize("family", ["bert", "electra"])
def test_twenty_updates_are_those_of_torch(family, tmp_path, context):
    theirs = reference(family, TIED, "masked_lm").double()
    folder = write(reference(family, TIED, "masked_lm"), tmp_path / "model", family, "one file")
    ours = kluere.Model.open(folder, task="masked_lm", context=context)
    corpus = kluere.Corpus.create(lines(8, longest=12), ours.tokenizer, max_tokens=40)
    trainer = kluere.MaskedLMTrainer(
        ours, corpus, batch_sentences=len(corpus), max_steps=20, learning_rate=1e-3, schedule="constant", warmup_ratio=0,
        weight_decay=0.1, max_grad_norm=1, seed=4, **STILL
    )
    plain = lambda name: name.endswith("bias") or "LayerNorm" in name
    groups = [
        dict(params=[p for name, p in theirs.named_parameters() if plain(name) == one], weight_decay=0.0 if one else 0.1)
        for one in (False, True)
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, eps=1e-8)
    for number in range(20):
        optimizer.zero_grad()
        loss, _, _ = torch_loss(theirs, family, masked_rows(corpus, 4, number))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        assert trainer.step().loss == pytest.approx(loss.item(), rel=2e-5), number
    trained = trainer.export_model().tensors
    state = theirs.state_dict()
    for name in trained:
        if not name.endswith("attention.self.key.bias"):
            assert relative(trained[name], state[name].numpy()) < 1e-3, name


def test_decoder_products_in_slices_are_those_of_the_whole(tmp_path, context):
    """More masked tokens than logits fit in memory at once: a slice has 2^24 of them."""
    folder = tmp_path / "tokenizer"
    made_up.write_tokenizer(folder, "bert")
    with open(folder / "vocab.txt", "a", encoding="utf-8") as file:
        file.write("".join(f"쓰지{i}\n" for i in range(30_000)))
    model = kluere.Model.create(
        kluere.Tokenizer(folder), family="bert", task="masked_lm", hidden_size=8, head_count=1, layer_count=1,
        intermediate_size=8, seed=3, context=context
    )
    corpus = kluere.Corpus.create(lines(60, longest=40), model.tokenizer)
    trainer = kluere.MaskedLMTrainer(
        model, corpus, batch_sentences=len(corpus), max_steps=1, max_grad_norm=0, mask_probability=0.5, seed=1, **STILL
    )
    info = trainer.step()
    model.save(tmp_path / "model")
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "model").eval()
    rows = [
        (*corpus.mask(i, seed=1, mask_probability=0.5), corpus.row(i)[1]) for i in range(len(corpus))
    ]
    loss, asked, _ = torch_loss(theirs, "bert", rows)
    assert asked > 2 * (1 << 24) // len(model.tokenizer)
    assert info.loss == pytest.approx(loss.item(), rel=1e-5)
    loss.backward()
    for name, parameter in theirs.named_parameters():
        if name in trainer.gradients and not name.endswith("key.bias"):
            assert relative(trainer.gradients[name], parameter.grad.numpy()) < 1e-4, name


# ---- evaluation and what is saved


@pytest.mark.parametrize("family", FAMILIES)
def test_perplexity_and_the_saved_folder_are_those_of_transformers(family, tmp_path, context):
    start = small(
        tmp_path, context, family.replace("xlm-roberta", "roberta"), max_positions=128, initializer_range=0.2
    )
    if family == "xlm-roberta":
        theirs = reference(family, TIED, "masked_lm")
        start = kluere.Model.open(write(theirs, tmp_path / "xlm", family, "one file"), task="masked_lm", context=context)
    corpus = kluere.Corpus.create(lines(30), start.tokenizer, max_tokens=100)
    held_out = kluere.Corpus.create(lines(20, seed=8), start.tokenizer, max_tokens=100)
    trainer = kluere.MaskedLMTrainer(start, corpus, held_out, evaluation_seed=6, **OPTIONS)
    for _ in range(4):
        trainer.step()
    model = trainer.export_model()
    model.save(tmp_path / "saved")
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "saved").eval()
    name = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "electra": "Electra"}[family]
    assert type(theirs).__name__ == name + "ForMaskedLM"
    with torch.no_grad():
        loss, asked, correct = torch_loss(theirs.double(), family, masked_rows(held_out, 6, 0))
    reopened = kluere.Model.open(tmp_path / "saved", task="masked_lm", context=context)
    for figures in (
        trainer.evaluate(held_out),
        kluere.evaluate_masked_lm(model, held_out, evaluation_seed=6),
        kluere.evaluate_masked_lm(reopened, held_out, evaluation_seed=6),
    ):
        assert figures.tokens == asked
        assert figures.perplexity == pytest.approx(loss.exp().item(), rel=1e-4)
        assert figures.loss == pytest.approx(loss.item(), rel=1e-5)
        assert figures.accuracy == pytest.approx(correct / asked, abs=1.01 / asked)
    ids = corpus.row(0)[0]
    found = kluere.Predictor(reopened).mask_logits([ids], range(len(ids)))
    with torch.no_grad():
        expected = theirs(input_ids=torch.tensor([ids])).logits[0].numpy()
    assert relative(found, expected) < 1e-5


def test_a_pretrained_folder_is_fine_tuned(tmp_path, context):
    start = small(tmp_path, context)
    corpus = kluere.Corpus.create(lines(30), start.tokenizer, max_tokens=100)
    trainer = kluere.MaskedLMTrainer(start, corpus, **OPTIONS)
    trainer.run()
    trainer.export_model().save(tmp_path / "pretrained")
    data = made_up.dataset(16)
    model = kluere.Model.open(tmp_path / "pretrained", labels=data.labels, context=context)
    assert all(name.startswith("classifier.") for name in model.tensors.newly_initialized)
    assert numpy.array_equal(
        model.tensors["roberta.encoder.layer.0.output.dense.weight"],
        trainer.export_model().tensors["roberta.encoder.layer.0.output.dense.weight"],
    )
    kluere.Trainer(model, data, max_steps=2).run()


def test_it_learns_what_is_there_to_learn(tmp_path, context):
    """Every second word follows from the one before: far below the loss of a guess over the vocabulary."""
    start = small(tmp_path, context, hidden_size=48, layer_count=1, initializer_range=0.1)
    pairs = [(a, b) for a, b in zip(made_up.SYLLABLES[:12], made_up.SYLLABLES[12:24])]
    generator = numpy.random.default_rng(2)
    text = [" ".join(" ".join(pairs[i]) for i in generator.integers(0, 12, 12)) for _ in range(240)]
    corpus = kluere.Corpus.create(text, start.tokenizer)
    held_out = kluere.Corpus.create(text[:20], start.tokenizer)
    trainer = kluere.MaskedLMTrainer(
        start, corpus, held_out, max_steps=400, learning_rate=5e-3, batch_sentences=16, seed=1, **STILL
    )
    assert trainer.evaluate(held_out).loss > 5
    trainer.run()
    after = trainer.evaluate(held_out)
    assert after.loss < 1 and after.accuracy > 0.7, after


# ---- the same bits


def test_threads_change_nothing(tmp_path):
    found = []
    for threads in (1, 2):
        own = kluere.Context(threads=threads)
        start = small(tmp_path / str(threads), own)
        corpus = kluere.Corpus.create(lines(20), start.tokenizer)
        trainer = kluere.MaskedLMTrainer(start, corpus, **OPTIONS)
        losses = [info.loss for info in trainer.steps()]
        found.append((losses, weights(trainer.export_model()), trainer.evaluate(corpus)))
    assert found[0][0] == found[1][0] and same(found[0][1], found[1][1]) and found[0][2] == found[1][2]


def test_micro_batches_change_nothing_but_rounding(tmp_path, context):
    start = small(tmp_path, context, hidden_dropout=0.2, attention_dropout=0.2)
    corpus = kluere.Corpus.create(lines(32), start.tokenizer)
    whole, parts = (
        kluere.MaskedLMTrainer(start, corpus, **{**OPTIONS, "batch_sentences": size, "accumulation": 8 // size})
        for size in (8, 2)
    )
    for _ in range(6):
        a, b = whole.step(), parts.step()
        assert b.loss == pytest.approx(a.loss, rel=1e-5) and b.grad_norm == pytest.approx(a.grad_norm, rel=1e-4)


def test_it_goes_on_bit_for_bit(tmp_path, context):
    start = small(tmp_path, context)
    corpora = [kluere.Corpus.create(lines(20, seed=s), start.tokenizer) for s in (1, 2)]
    options = dict(OPTIONS, evaluate_every=4, checkpoint_every=3, whole_words=True, mask_probability=0.3)
    whole = kluere.MaskedLMTrainer(start, *corpora, output_directory=tmp_path / "whole", **options)
    events = []
    whole.run(callback=lambda event: events.append(event))
    expected = weights(whole.export_model())
    figures = [event for event in events if event.kind == "evaluation"]
    assert [event.step.step for event in figures] == [4, 8, 10]
    assert figures[-1].metrics == whole.evaluate(corpora[1]) and "perplexity" in str(figures[-1].metrics)
    stopped = kluere.MaskedLMTrainer(start, *corpora, output_directory=tmp_path / "stopped", **options)
    assert stopped.run(callback=lambda event: event.step.step == 5) is False
    resumed = kluere.MaskedLMTrainer.resume(tmp_path / "stopped", *corpora, context=context)
    assert resumed.run() is True
    assert same(weights(resumed.export_model()), expected)
    state = json.loads((tmp_path / "stopped" / "checkpoint-last" / "trainer_state.json").read_text())
    assert state["masked_lm"]["whole_words"] is True and state["masked_lm"]["mask_probability"] == 0.3


def test_what_does_not_fit_is_refused(tmp_path, context, vocabulary):
    start = small(tmp_path, context)
    corpus = kluere.Corpus.create(lines(9), start.tokenizer)
    other = kluere.Corpus.create(lines(9), kluere.Tokenizer(made_up.write_tokenizer(tmp_path / "bert", "bert")))
    for make, message in (
        (lambda: kluere.MaskedLMTrainer(start, corpus, best_metric="auprc"), "best_metric: auprc with masked-LM"),
        (lambda: kluere.MaskedLMTrainer(start, corpus, classifier_dropout=0.1), "classifier_dropout.*masked-LM"),
        (lambda: kluere.MaskedLMTrainer(start, corpus, mask_probability=2), "mask_probability: 2"),
        (lambda: kluere.MaskedLMTrainer(start, other), "corpus: made with a tokenizer"),
        (lambda: kluere.MaskedLMTrainer(start, corpus, other), "evaluation: made with a tokenizer"),
        (lambda: kluere.evaluate_masked_lm(start, other), "corpus: made with a tokenizer"),
        (lambda: kluere.MaskedLMTrainer(made_up.model(tmp_path / "c"), corpus), "no masked-LM head"),
        (lambda: kluere.evaluate_masked_lm(made_up.model(tmp_path / "c"), corpus), "no masked-LM head"),
        (lambda: kluere.Trainer(start, made_up.dataset(8)), "no classification head"),
    ):
        with pytest.raises(kluere.KluereError, match=message):
            make()
    long = kluere.Corpus.create([" ".join(lines(30))], start.tokenizer, max_tokens=200)
    with pytest.raises(kluere.InvalidArgument, match="200 tokens, the model has 128 positions"):
        kluere.MaskedLMTrainer(start, long)
    trainer = kluere.MaskedLMTrainer(start, corpus, **OPTIONS)
    with pytest.raises(kluere.KluereError, match="measured on a corpus"):
        kluere.Trainer.evaluate(trainer, made_up.dataset(8))
    trainer.save_checkpoint(tmp_path / "masked")
    with pytest.raises(kluere.KluereError, match="a checkpoint of masked-LM training"):
        kluere.Trainer.resume(tmp_path / "masked", made_up.dataset(8), context=context)
    with pytest.raises(kluere.InvalidArgument, match="train: 1 rows.*expected the same rows"):
        kluere.MaskedLMTrainer.resume(
            tmp_path / "masked", kluere.Corpus.create(["가"], start.tokenizer), context=context
        )
    data = made_up.dataset(8)
    kluere.Trainer(made_up.model(tmp_path / "d"), data, max_steps=2).save_checkpoint(tmp_path / "relations")
    with pytest.raises(kluere.KluereError, match="a checkpoint of classification training"):
        kluere.MaskedLMTrainer.resume(tmp_path / "relations", corpus, context=context)


# ---- command line


def test_commands(tmp_path, capsys):
    from kluere.cli import main

    made_up.write_tokenizer(tmp_path / "tokenizer")
    (tmp_path / "text").write_text("\n".join(lines(40)), encoding="utf-8")
    (tmp_path / "dev").write_text("\n".join(lines(10, seed=3)), encoding="utf-8")
    begin = ["pretrain", str(tmp_path / "text"), "--dev", str(tmp_path / "dev"), "-o", str(tmp_path / "out"), "--quiet"]
    shape = ["--tokenizer", str(tmp_path / "tokenizer"), "--layers", "1", "--hidden", "24", "--heads", "3"]
    assert main([*begin, *shape, "--max-steps", "6", "--evaluate-every", "3", "--max-tokens", "32"]) == 0
    assert "perplexity" in capsys.readouterr().out
    curve = (tmp_path / "out" / "loss-curve.svg").read_text(encoding="utf-8")
    import xml.etree.ElementTree as tree

    drawn = tree.fromstring(curve)
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg" and curve.count("<polyline") == 2
    assert type(transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "out" / "model")).__name__ == "RobertaForMaskedLM"
    made_up.write_klue_json(tmp_path / "train.json", made_up.examples(20, ["no_relation", "per:title"]))
    data = str(tmp_path / "train.json")
    command = ["tapt", data, data, "--dev", data, "--model", str(tmp_path / "out"), "-o", str(tmp_path / "tapt"), "--quiet"]
    assert main([*command, "--max-steps", "3", "--whole-words", "--input-form", "entity_pair"]) == 0
    assert "perplexity" in capsys.readouterr().out
    assert main([*command, "--resume", "--input-form", "entity_pair"]) == 0
    assert kluere.Model.open(tmp_path / "tapt" / "model").config.layer_count == 1
