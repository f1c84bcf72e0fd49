"""Logits, gradients and AdamW steps against the installed transformers and torch, on folders that transformers saved.

Weights are random, vocabulary and sentences made up; nothing is downloaded. The tokens that transformers sees are those
of kluere's own Model.encode, so that only arithmetic is compared.
"""

import math

import pytest

import kluere
import made_up

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LABELS = ["no_relation", "per:title", "org:members", "한국어 라벨", "org:alternate_names"]
SHAPES = {  # hidden, heads, layers, intermediate
    "width 8": (24, 3, 2, 50),
    "width 12": (60, 5, 3, 97),
    "width 7": (21, 3, 1, 33),
    "one head": (16, 1, 3, 1),
    "width 64": (128, 2, 1, 256),
}
CASES = [(family, shape) for family in ("bert", "roberta") for shape in SHAPES]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def reference_model(family, shape, folder):
    """A transformers classifier with every parameter random, saved by transformers itself with a vocab.txt."""
    hidden, heads, layers, intermediate = SHAPES[shape]
    made_up.write_tokenizer(folder, family)
    common = dict(
        vocab_size=len(made_up.vocabulary(family)),
        hidden_size=hidden,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        intermediate_size=intermediate,
        id2label=dict(enumerate(LABELS)),
        label2id={name: i for i, name in enumerate(LABELS)},
        initializer_range=0.1,
    )
    if family == "bert":
        config = transformers.BertConfig(max_position_embeddings=120, type_vocab_size=2, pad_token_id=0, **common)
        kind = transformers.BertForSequenceClassification
    else:
        config = transformers.RobertaConfig(
            max_position_embeddings=122, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
            layer_norm_eps=1e-5, **common,
        )
        kind = transformers.RobertaForSequenceClassification
    torch.manual_seed(len(shape) + hidden)
    config._attn_implementation = "eager"
    model = kind(config)
    with torch.no_grad():  # biases and layer norms too, which start as 0 and 1
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model.eval()


def batch(ours, examples, pad):
    """What transformers takes: padded ids, mask, token types."""
    encodings = [ours.encode(example) for example in examples]
    length = max(map(len, encodings))
    ids = torch.full((len(examples), length), pad)
    mask = torch.zeros(len(examples), length, dtype=torch.long)
    types = torch.zeros(len(examples), length, dtype=torch.long)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding)] = torch.tensor(encoding.ids)
        types[row, : len(encoding)] = torch.tensor(encoding.type_ids)
        mask[row, : len(encoding)] = 1
    return dict(input_ids=ids, attention_mask=mask, token_type_ids=types)


def relative(ours, theirs):
    theirs = numpy.asarray(theirs)
    return numpy.abs(numpy.asarray(ours) - theirs).max() / numpy.abs(theirs).max()


@pytest.fixture(params=CASES, ids=[f"{family} {shape}" for family, shape in CASES])
def pair(request, tmp_path, context):
    family, shape = request.param
    theirs = reference_model(family, shape, tmp_path / "model")
    form = "entity_pair" if SHAPES[shape][2] == 3 else "typed_marker_punct"
    ours = kluere.Model.open(tmp_path / "model", input_form=form, context=context)
    assert ours.labels == LABELS and not ours.tensors.newly_initialized
    return ours, theirs


def test_logits(pair):
    ours, theirs = pair
    examples = made_up.examples(33, LABELS, seed=1)
    with torch.no_grad():
        expected = theirs(**batch(ours, examples, theirs.config.pad_token_id)).logits.numpy()
    packed = ours.predict(examples, output="logits")
    assert relative(packed, expected) < 1e-5
    alone = numpy.stack([ours.predict(example, output="logits") for example in examples])
    assert relative(packed, alone) < 1e-5
    probabilities = torch.softmax(torch.tensor(expected, dtype=torch.float64), 1).numpy()
    assert numpy.abs(ours.predict(examples) - probabilities).max() < 1e-5


def test_weights_are_the_files(pair):
    ours, theirs = pair
    state = theirs.state_dict()
    assert set(ours.tensors) == {name for name in state if not name.endswith("position_ids")}
    for name, value in ours.tensors.items():
        assert numpy.array_equal(value, state[name].numpy()), name


OFF = dict(hidden_dropout=0, attention_dropout=0, classifier_dropout=0)


def test_every_gradient(pair, context):
    ours, theirs = pair
    examples = made_up.examples(24, LABELS, seed=2)
    dataset = kluere.Dataset.create(examples, labels=LABELS, context=context)
    trainer = kluere.Trainer(
        ours, dataset, batch_sentences=24, max_steps=1, learning_rate=1e-12, max_grad_norm=0, **OFF
    )
    info = trainer.step()
    theirs.double()  # the reference's own rounding should not count
    targets = torch.tensor([LABELS.index(example.label) for example in examples])
    loss = torch.nn.functional.cross_entropy(
        theirs(**batch(ours, examples, theirs.config.pad_token_id)).logits, targets
    )
    loss.backward()
    assert info.loss == pytest.approx(loss.item(), rel=1e-5)
    gradients = trainer.gradients
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    assert set(gradients) == set(expected)
    for name, reference in expected.items():
        if name.endswith("attention.self.key.bias"):
            # Adding one vector to every key changes no softmax: this gradient is 0 but for rounding.
            scale = expected[name.replace("key.bias", "key.weight")].abs().max().item()
            assert numpy.abs(gradients[name]).max() < 1e-4 * scale, name
        else:
            assert relative(gradients[name], reference.numpy()) < 1e-4, name
    norm = math.sqrt(sum((reference**2).sum().item() for reference in expected.values()))
    assert info.grad_norm == pytest.approx(norm, rel=1e-4)


@pytest.mark.parametrize("accumulation", [1, 4])
def test_thirty_adamw_steps(pair, context, accumulation):
    ours, theirs = pair
    examples = made_up.examples(32, LABELS, seed=3, longest=15)
    dataset = kluere.Dataset.create(examples, labels=LABELS, context=context)
    trainer = kluere.Trainer(
        ours, dataset, batch_sentences=32 // accumulation, accumulation=accumulation, max_steps=30, warmup_steps=5,
        learning_rate=2e-3, weight_decay=0.05, max_grad_norm=0.5, schedule="linear", **OFF,
    )  # one update sees all 32 rows: their order does not matter
    plain = [p for n, p in theirs.named_parameters() if n.endswith(".bias") or "LayerNorm" in n]
    decayed = [p for n, p in theirs.named_parameters() if not (n.endswith(".bias") or "LayerNorm" in n)]
    optimizer = torch.optim.AdamW(
        [dict(params=decayed, weight_decay=0.05), dict(params=plain, weight_decay=0)],
        lr=2e-3, betas=(0.9, 0.999), eps=1e-8,
    )
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 5, 30)
    inputs = batch(ours, examples, theirs.config.pad_token_id)
    targets = torch.tensor([LABELS.index(example.label) for example in examples])
    losses = []
    for info in trainer.steps():
        assert info.learning_rate == pytest.approx(schedule.get_last_lr()[0], rel=1e-9, abs=1e-15)
        loss = torch.nn.functional.cross_entropy(theirs(**inputs).logits, targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        assert info.grad_norm == pytest.approx(norm.item(), rel=1e-3)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        assert info.loss == pytest.approx(loss.item(), rel=1e-4), info.step
    assert info.done and info.step == 30 and losses[-1] < losses[0]


def test_transformers_opens_what_we_save(pair, tmp_path):
    ours, theirs = pair
    ours.save(tmp_path / "saved")
    again = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "saved", attn_implementation="eager"
    ).eval()
    assert type(again) is type(theirs)
    assert [again.config.id2label[i] for i in range(len(LABELS))] == LABELS
    examples = made_up.examples(9, LABELS, seed=4)
    inputs = batch(ours, examples, theirs.config.pad_token_id)
    with torch.no_grad():
        assert torch.equal(again(**inputs).logits, theirs(**inputs).logits)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    for example in examples:
        assert tokenizer(example.text)["input_ids"] == ours.tokenizer.encode(example.text).ids
    assert tokenizer.pad_token_id == theirs.config.pad_token_id


def test_a_model_of_ours_from_random_weights_runs_in_transformers(tmp_path, context):
    ours = made_up.model(tmp_path / "tokenizer", labels=LABELS, context=context, seed=9)
    ours.save(tmp_path / "model")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    examples = made_up.examples(12, LABELS, seed=5)
    with torch.no_grad():
        expected = theirs(**batch(ours, examples, theirs.config.pad_token_id)).logits.numpy()
    assert relative(ours.predict(examples, output="logits"), expected) < 1e-5


def test_an_encoder_without_a_head_gets_a_new_one(tmp_path, context):
    reference_model("bert", "width 8", tmp_path / "classifier")
    body = transformers.BertModel.from_pretrained(tmp_path / "classifier")
    body.save_pretrained(tmp_path / "body")
    made_up.write_tokenizer(tmp_path / "body", "bert")
    ours = kluere.Model.open(tmp_path / "body", labels=LABELS, context=context)
    assert set(ours.tensors.newly_initialized) == {"classifier.weight", "classifier.bias"}
    weights = body.state_dict()
    assert numpy.array_equal(ours.tensors["bert.pooler.dense.weight"], weights["pooler.dense.weight"].numpy())
