"""Every model family in every form of weight file, against the installed transformers and torch: class scores, hidden states,
pooled vectors, masked-LM logits, gradients, and the way back. Weights are random; token ids go in as they are.
"""

import json

import pytest

import kluere
import made_up

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors")

LABELS = ["no_relation", "per:title", "org:members", "한국어 라벨", "org:alternate_names"]
SHAPES = {  # hidden, heads, layers, intermediate, embedding (ELECTRA), activation, decoder tied
    "width 12, 3 layers, gelu": (60, 5, 3, 97, 28, "gelu", True),
    "width 7, 1 layer, gelu_new, untied": (21, 3, 1, 33, 21, "gelu_new", False),
    "width 64, 2 layers, relu": (128, 2, 2, 256, 40, "relu", True),
}
FORMS = ["one file", "shards", "bin", "legacy bin", "bin shards", "bf16", "f16"]
CONFIGS = {
    "bert": transformers.BertConfig,
    "roberta": transformers.RobertaConfig,
    "xlm-roberta": transformers.XLMRobertaConfig,
    "electra": transformers.ElectraConfig,
}
AUTO = {
    "classification": transformers.AutoModelForSequenceClassification,
    "masked_lm": transformers.AutoModelForMaskedLM,
    "encoder": transformers.AutoModel,
}
CASES = [(family, shape) for family in CONFIGS for shape in SHAPES]
NAMES = [f"{family}, {shape}" for family, shape in CASES]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def counts_from_padding(family):
    return family in ("roberta", "xlm-roberta")


def vocabulary(family):
    return "roberta" if counts_from_padding(family) else "bert"


def reference(family, shape, task, **more):
    """A transformers model in which every parameter is random."""
    hidden, heads, layers, intermediate, embedding, activation, tied = SHAPES[shape]
    roberta = counts_from_padding(family)
    settings = dict(
        vocab_size=len(made_up.vocabulary(vocabulary(family))),
        hidden_size=hidden,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        intermediate_size=intermediate,
        hidden_act=activation,
        tie_word_embeddings=tied,
        id2label=dict(enumerate(LABELS)),
        label2id={name: i for i, name in enumerate(LABELS)},
        max_position_embeddings=122 if roberta else 120,
        type_vocab_size=1 if roberta else 2,
        pad_token_id=1 if roberta else 0,
        initializer_range=0.1,
        layer_norm_eps=1e-5 if roberta else 1e-12,
    )
    if family == "electra":
        settings["embedding_size"] = embedding
    if roberta:
        settings.update(bos_token_id=0, eos_token_id=2)
    config = CONFIGS[family](**settings)
    config._attn_implementation = "eager"
    torch.manual_seed(hidden + len(family))
    model = AUTO[task].from_config(config, attn_implementation="eager", **more)
    with torch.no_grad():  # biases and layer norms too, which start as 0 and 1
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def write(model, folder, family, form):
    """The model's folder with its weights in one of FORMS; 16-bit forms narrow the model's own weights too."""
    if form in ("bf16", "f16"):
        model.to(torch.bfloat16 if form == "bf16" else torch.float16)
    model.save_pretrained(folder, **({"max_shard_size": "20KB"} if form == "shards" else {}))
    model.float()
    made_up.write_tokenizer(folder, vocabulary(family))
    weights = sorted(path.name for path in folder.glob("*.safetensors"))
    assert (len(weights) > 1) == (form == "shards")
    if "bin" not in form:
        return folder
    for name in weights:
        (folder / name).unlink()
    state = model.state_dict()
    if form != "bin shards":
        torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=form == "bin")
        return folder
    names, index = list(state), {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        shard = f"pytorch_model-0000{number}-of-00002.bin"
        torch.save({name: state[name] for name in part}, folder / shard)
        index.update((name, shard) for name in part)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder


def inputs(family, types=2):
    """Token ids of very different lengths, one of them as long as the positions allow; never the padding id."""
    generator = numpy.random.default_rng(5)
    pad = 1 if counts_from_padding(family) else 0
    size = len(made_up.vocabulary(vocabulary(family)))
    rows = []
    for length in (1, 2, 17, 120, 33, 8):
        row = generator.integers(0, size, length)
        row[row == pad] = 2
        rows.append(row.tolist())
    kinds = [[int(i >= len(row) // 2) for i in range(len(row))] for row in rows]
    return rows, kinds if types == 2 and not counts_from_padding(family) else None


def padded(rows, kinds, pad):
    length = max(map(len, rows))
    ids = torch.full((len(rows), length), pad)
    mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
        if kinds:
            types[i, : len(row)] = torch.tensor(kinds[i])
    return dict(input_ids=ids, attention_mask=mask, token_type_ids=types)


def relative(ours, theirs):
    ours, theirs = numpy.asarray(ours), numpy.asarray(theirs)
    assert ours.shape == theirs.shape
    return numpy.abs(ours - theirs).max() / numpy.abs(theirs).max()


def run(model, rows, kinds):
    with torch.no_grad():
        return model(**padded(rows, kinds, model.config.pad_token_id), output_hidden_states=True)


def kept(table, rows):
    """The states of real tokens, end to end, out of a padded table."""
    return numpy.concatenate([table[i, : len(row)].numpy() for i, row in enumerate(rows)])


def compare(ours, theirs, task, family):
    """Everything that the task's model gives, ours against theirs."""
    rows, kinds = inputs(family)
    predictor = kluere.Predictor(ours, output="logits")
    expected = run(theirs, rows, kinds)
    states = numpy.concatenate(predictor.hidden_states(rows, kinds))
    assert relative(states, kept(expected.hidden_states[-1], rows)) < 1e-5
    if task == "classification":
        assert relative(predictor.classify(rows, kinds), expected.logits) < 1e-5
    if task == "masked_lm":
        places = list(range(0, sum(map(len, rows)), 3))
        logits = kept(expected.logits, rows)[places]
        assert relative(predictor.mask_logits(rows, places, kinds), logits) < 1e-5
    if task == "encoder":
        mean = [kept(expected.last_hidden_state[i : i + 1], [row]).mean(0) for i, row in enumerate(rows)]
        assert relative(predictor.embed(rows, type_ids=kinds), numpy.stack(mean)) < 1e-5
        assert relative(predictor.embed(rows, type_ids=kinds, pooling="cls"), expected.last_hidden_state[:, 0]) < 1e-5
        if family == "bert":
            pooled = predictor.embed(rows, type_ids=kinds, pooling="pooler")
            assert relative(pooled, expected.pooler_output) < 1e-5


def stored(folder):
    """Name to (type, shape, bytes) of all safetensors in a folder."""
    found = {}
    for path in folder.glob("*.safetensors"):
        for name, value in safetensors.deserialize(path.read_bytes()):
            found[name] = (value["dtype"], list(value["shape"]), bytes(value["data"]))
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family, shape", CASES, ids=NAMES)
def test_class_scores_of_every_weight_form(family, shape, form, tmp_path, context):
    theirs = reference(family, shape, "classification")
    folder = write(theirs, tmp_path / "model", family, form)
    ours = kluere.Model.open(folder, context=context)
    assert ours.config.family == family.replace("-", "_") and ours.labels == LABELS
    assert not ours.tensors.newly_initialized and not ours.unused_tensors
    compare(ours, theirs, "classification", family)
    ours.save(tmp_path / "saved")
    before = stored(folder) or {
        name: ("F32", list(value.shape), value.numpy().tobytes()) for name, value in theirs.state_dict().items()
    }
    assert stored(tmp_path / "saved") == before
    again = AUTO["classification"].from_pretrained(
        tmp_path / "saved", attn_implementation="eager", dtype=torch.float32
    ).eval()
    assert type(again) is type(theirs)
    rows, kinds = inputs(family)
    assert torch.equal(run(again, rows, kinds).logits, run(theirs, rows, kinds).logits)


@pytest.mark.parametrize("form", ["one file", "bin", "bf16"])
@pytest.mark.parametrize("family, shape", CASES, ids=NAMES)
def test_masked_lm(family, shape, form, tmp_path, context):
    theirs = reference(family, shape, "masked_lm")
    folder = write(theirs, tmp_path / "model", family, form)
    ours = kluere.Model.open(folder, task="masked_lm", context=context)
    assert not ours.tensors.newly_initialized and not ours.unused_tensors
    assert ours.config.untied_decoder == (not SHAPES[shape][6])
    compare(ours, theirs, "masked_lm", family)
    ours.save(tmp_path / "saved")
    if form != "bin":
        assert stored(tmp_path / "saved") == stored(folder)
    again, report = AUTO["masked_lm"].from_pretrained(
        tmp_path / "saved", attn_implementation="eager", dtype=torch.float32, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    rows, kinds = inputs(family)
    assert torch.equal(run(again.eval(), rows, kinds).logits, run(theirs, rows, kinds).logits)


@pytest.mark.parametrize("family, shape", CASES, ids=NAMES)
def test_encoder_alone(family, shape, tmp_path, context):
    theirs = reference(family, shape, "encoder")
    folder = write(theirs, tmp_path / "model", family, "one file")
    ours = kluere.Model.open(folder, task="encoder", context=context)
    assert not ours.tensors.newly_initialized and not ours.unused_tensors
    compare(ours, theirs, "encoder", family)
    ours.save(tmp_path / "saved")
    again = AUTO["encoder"].from_pretrained(tmp_path / "saved", attn_implementation="eager").eval()
    rows, kinds = inputs(family)
    assert torch.equal(run(again, rows, kinds).last_hidden_state, run(theirs, rows, kinds).last_hidden_state)
    if family != "electra":  # transformers makes a pooler by default, ELECTRA has none
        assert torch.equal(again.pooler.dense.weight, theirs.pooler.dense.weight)


def test_bert_without_a_pooler(tmp_path, context):
    shape = "width 12, 3 layers, gelu"
    theirs = reference("bert", shape, "encoder", add_pooling_layer=False)
    folder = write(theirs, tmp_path / "model", "bert", "one file")
    ours = kluere.Model.open(folder, task="encoder", context=context)
    rows, kinds = inputs("bert")
    states = numpy.concatenate(kluere.Predictor(ours).hidden_states(rows, kinds))
    assert relative(states, kept(run(theirs, rows, kinds).last_hidden_state, rows)) < 1e-5
    with pytest.raises(kluere.KluereError, match="pooler"):
        kluere.Predictor(ours).embed(rows, type_ids=kinds, pooling="pooler")
    ours.save(tmp_path / "saved")
    assert stored(tmp_path / "saved").keys() == {"bert." + name for name in stored(folder)}


@pytest.mark.parametrize("family", CONFIGS)
def test_what_is_new_and_what_is_unused_is_listed(family, tmp_path, context):
    shape = "width 12, 3 layers, gelu"
    theirs = reference(family, shape, "masked_lm")
    folder = write(theirs, tmp_path / "model", family, "one file")
    ours = kluere.Model.open(folder, labels=LABELS, context=context)
    names = set(dict(theirs.named_parameters())) | set(theirs.state_dict())
    unused = set(ours.unused_tensors)
    assert unused == set(stored(folder)) - set(ours.tensors) and unused
    assert all(name in names and not name.startswith(family.replace("-", "_") + ".") for name in unused)
    classifier = AUTO["classification"].from_config(theirs.config)
    assert set(ours.tensors.newly_initialized) == set(classifier.state_dict()) - names


@pytest.mark.parametrize("family, shape", CASES, ids=NAMES)
def test_gradients(family, shape, tmp_path, context):
    theirs = reference(family, shape, "classification")
    ours = kluere.Model.open(write(theirs, tmp_path / "model", family, "one file"), context=context)
    examples = made_up.examples(12, LABELS, seed=2)
    dataset = kluere.Dataset.create(examples, labels=LABELS, context=context)
    trainer = kluere.Trainer(
        ours, dataset, batch_sentences=12, max_steps=1, learning_rate=1e-12, max_grad_norm=0, hidden_dropout=0,
        attention_dropout=0, classifier_dropout=0,
    )
    trainer.step()
    theirs.double()  # the reference's own rounding should not count
    encodings = [ours.encode(example) for example in examples]
    rows, kinds = [e.ids for e in encodings], [e.type_ids for e in encodings]
    if counts_from_padding(family):
        kinds = None
    targets = torch.tensor([LABELS.index(example.label) for example in examples])
    logits = theirs(**padded(rows, kinds, theirs.config.pad_token_id)).logits
    torch.nn.functional.cross_entropy(logits, targets).backward()
    gradients = trainer.gradients
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    assert set(gradients) == set(expected)
    for name, gradient in expected.items():
        if not name.endswith("attention.self.key.bias"):  # 0 but for rounding
            assert relative(gradients[name], gradient.numpy()) < 1e-4, name
