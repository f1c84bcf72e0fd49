"""Every loss against PyTorch in double precision, through a whole small model; its invariances; resuming; pseudo-labels."""

import dataclasses
import itertools

import pytest

import kluere
import made_up

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
F = torch.nn.functional

LABELS = ["no_relation", "per:title", "org:members", "한국어 라벨", "org:alternate_names"]
ROWS = 24
OFF = dict(hidden_dropout=0, attention_dropout=0, classifier_dropout=0)
ON = dict(hidden_dropout=0.2, attention_dropout=0.1, classifier_dropout=0.3)
GIVEN = [0.5, 2.0, 0.0, 1.25, 3.0]
ALPHAS = [0.25, 0.75, 1.0, 0.5, 2.0]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(our model, transformers' model in double, dataset, targets, its inputs, a teacher's logits)."""
    folder = tmp_path_factory.mktemp("model")
    start = made_up.model(folder / "tokenizer", labels=LABELS, family="roberta", initializer_range=0.3, seed=3)
    start.save(folder / "saved")
    ours = kluere.Model.open(folder / "saved")
    theirs = transformers.RobertaForSequenceClassification.from_pretrained(folder / "saved", attn_implementation="eager")
    theirs = theirs.double().eval()
    examples = made_up.examples(ROWS, LABELS, seed=2, longest=12)
    dataset = kluere.Dataset.create(examples, labels=LABELS)
    targets = torch.tensor([LABELS.index(example.label) for example in examples])
    encodings = [ours.encode(example) for example in examples]
    ids = torch.full((ROWS, max(map(len, encodings))), theirs.config.pad_token_id)
    mask = torch.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding)] = torch.tensor(encoding.ids)
        mask[row, : len(encoding)] = 1
    taught = torch.from_numpy(numpy.random.default_rng(4).normal(0, 2, (ROWS, len(LABELS))))
    return ours, theirs, dataset, targets, dict(input_ids=ids, attention_mask=mask), taught


# ---- the losses, and what PyTorch makes of them


def weights_of(options, counts):
    given = options.get("class_weights")
    if given is None:
        return torch.ones(len(counts), dtype=torch.float64)
    if not isinstance(given, str):
        return torch.tensor(given, dtype=torch.float64)
    seen = counts > 0
    w = torch.zeros(len(counts), dtype=torch.float64)
    if given == "inverse":
        w[seen] = 1 / counts[seen]
    elif given == "sqrt":
        w[seen] = 1 / counts[seen] ** 0.5
    else:
        beta = options.get("effective_beta", 0.9999)
        w[seen] = (1 - beta) / (1 - beta ** counts[seen])
    scale = options.get("class_weight_scale", "mean_classes")
    if scale == "mean_classes":
        w /= w[seen].mean()
    elif scale == "mean_rows":
        w *= counts.sum() / (w * counts).sum()
    return w


def row_losses(options, logits, targets, counts):
    w = weights_of(options, counts)
    smoothing = options.get("label_smoothing", 0.0)
    kind = options.get("kind", "cross_entropy")
    count = logits.shape[1]
    if kind == "cross_entropy" and options.get("smoothing_mode", "all") == "all":
        return F.cross_entropy(logits, targets, weight=w, label_smoothing=smoothing, reduction="none")
    if kind == "ldam":
        margins = 1 / counts**0.25
        margins *= options.get("ldam_margin", 0.5) / margins[counts > 0].max()
        shifted = logits - F.one_hot(targets, count) * torch.where(counts > 0, margins, 0.0)
        return F.cross_entropy(options.get("ldam_scale", 30) * shifted, targets, weight=w, reduction="none")
    q = F.one_hot(targets, count).double()
    if options.get("smoothing_mode", "all") == "all":
        q = q * (1 - smoothing) + smoothing / count
    else:
        q = q * (1 - smoothing) + (1 - q) * smoothing / (count - 1)
    log_p = F.log_softmax(logits, 1)
    if kind == "cross_entropy":
        return -(q * w * log_p).sum(1)
    alpha = torch.as_tensor(options.get("alpha", 1.0), dtype=torch.float64)
    miss = 1 - log_p.exp()
    if options.get("detach_pt"):
        miss = miss.detach()
    return -(alpha * w * q * miss ** options.get("gamma", 2.0) * log_p).sum(1)


def reference(options, logits, targets, counts, taught):
    """The loss of an update with these rows; dropout is off, so that R-Drop's divergence is 0."""
    rows = row_losses(options, logits, targets, counts)
    if options.get("weighted_mean"):
        hard = rows.sum() / weights_of(options, counts)[targets].sum()
    else:
        hard = rows.mean()
    if "soft_targets" not in options:
        return hard
    share, t = options.get("distill_share", 0.5), options.get("temperature", 1.0)
    soft = F.kl_div(F.log_softmax(logits / t, 1), F.softmax(taught / t, 1), reduction="batchmean") * t * t
    return (1 - share) * hard + share * soft


CASES = {
    "inverse": dict(class_weights="inverse"),
    "sqrt, torch's mean": dict(class_weights="sqrt", weighted_mean=True),
    "effective, mean over rows": dict(class_weights="effective", effective_beta=0.9, class_weight_scale="mean_rows"),
    "given, smoothed as torch": dict(class_weights=GIVEN, weighted_mean=True, label_smoothing=0.1),
    "smoothed as torch": dict(label_smoothing=0.2),
    "smoothed over the others": dict(label_smoothing=0.1, smoothing_mode="others", class_weights="inverse"),
    "focal, the report's": dict(kind="focal", alpha=0.25, gamma=2.0),
    "focal, gamma 1, weighted": dict(kind="focal", gamma=1.0, class_weights="sqrt", weighted_mean=True),
    "focal, detached": dict(kind="focal", gamma=0.5, detach_pt=True),
    "focal, alpha per class": dict(kind="focal", alpha=ALPHAS, class_weights=GIVEN),
    "smoothed focal, the report's": dict(kind="focal", gamma=2.0, label_smoothing=0.1, smoothing_mode="others"),
    "ldam": dict(kind="ldam", ldam_scale=5.0),
    "ldam, weighted": dict(kind="ldam", ldam_margin=0.3, class_weights="effective", weighted_mean=True),
    "distillation": dict(soft_targets=True, temperature=2.0),
    "distillation alone": dict(soft_targets=True, temperature=1.0, distill_share=1.0),
    "distilled focal": dict(soft_targets=True, kind="focal", temperature=3.0, distill_share=0.3, label_smoothing=0.1),
    "r-drop without dropout": dict(r_drop=2.0),
    "everything": dict(
        kind="focal", gamma=1.5, class_weights="sqrt", weighted_mean=True, label_smoothing=0.1, smoothing_mode="others",
        r_drop=1.0, soft_targets=True, temperature=2.0,
    ),
}


def loss_of(options, taught):
    options = dict(options)
    if options.get("soft_targets"):
        options["soft_targets"] = F.softmax(taught, 1).numpy()
    return kluere.Loss(**options)


def counts_of(targets):
    return torch.bincount(targets, minlength=len(LABELS)).double()


@pytest.fixture(params=CASES, ids=list(CASES))
def options(request):
    return CASES[request.param]


def test_loss_and_every_gradient(world, options):
    ours, theirs, dataset, targets, inputs, taught = world
    trainer = kluere.Trainer(
        ours, dataset, batch_sentences=ROWS, max_steps=1, learning_rate=0, max_grad_norm=0, warmup_ratio=0,
        loss=loss_of(options, taught), **OFF,
    )
    info = trainer.step()
    theirs.zero_grad()
    expected = reference(options, theirs(**inputs).logits, targets, counts_of(targets), taught)
    expected.backward()
    assert info.loss == pytest.approx(expected.item(), rel=1e-5)
    gradients = trainer.gradients
    largest = max(parameter.grad.abs().max().item() for parameter in theirs.parameters())
    for name, parameter in theirs.named_parameters():
        own = parameter.grad.abs().max().item()
        # Adding one vector to every key changes no softmax: the gradient of key.bias is 0 but for rounding.
        scale = largest if name.endswith("key.bias") else max(own, 1e-3 * largest)
        difference = numpy.abs(gradients[name] - parameter.grad.numpy()).max()
        assert difference < 1e-4 * scale, (name, difference / scale)


def test_each_rows_logits_gradient(world, options):
    """A bias's gradient is that of the logits where an update has one sentence; two rows where R-Drop has two copies."""
    ours, theirs, dataset, targets, inputs, taught = world
    trainer = kluere.Trainer(
        ours, dataset, batch_sentences=1, max_steps=ROWS, learning_rate=0, max_grad_norm=0, warmup_ratio=0,
        loss=loss_of(options, taught), **OFF,
    )
    found = []
    for info in trainer.steps():
        found.append(numpy.concatenate([[info.loss], trainer.gradients["classifier.out_proj.bias"]]))
    with torch.no_grad():
        logits = theirs(**inputs).logits
    expected = []
    for row in range(ROWS):
        one = logits[row : row + 1].clone().requires_grad_()
        target = targets[row : row + 1]
        if options.get("weighted_mean") and weights_of(options, counts_of(targets))[target] == 0:
            value = torch.zeros(())  # torch would divide 0 by 0
            gradient = torch.zeros(1, len(LABELS))
        else:
            value = reference(options, one, target, counts_of(targets), taught[row : row + 1])
            value.backward()
            gradient = one.grad
        expected.append(numpy.concatenate([[value.item()], gradient[0].numpy()]))
    # The order of the rows is the trainer's: each row found must be one expected, and all must be there.
    found, expected = numpy.array(found), numpy.array(expected)
    order = [int(numpy.abs(expected - row).sum(1).argmin()) for row in found]
    assert numpy.abs(found - expected[order]).max() < 1e-5 * max(1, numpy.abs(expected).max())
    assert all(numpy.abs(found - row).sum(1).min() < 1e-4 * max(1, numpy.abs(expected).max()) for row in expected)


def test_the_split_into_micro_batches_changes_nothing(world, options):
    ours, _, dataset, _, _, taught = world
    results = []
    for accumulation in (1, 4):
        trainer = kluere.Trainer(
            ours, dataset, batch_sentences=ROWS // accumulation, accumulation=accumulation, max_steps=2, seed=5,
            learning_rate=1e-3, loss=loss_of(options, taught), **ON,
        )
        infos = list(trainer.steps())
        results.append(([info.loss for info in infos], dict(trainer.gradients.items())))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for name, gradient in results[0][1].items():
        if not name.endswith("key.bias"):
            assert numpy.abs(gradient - results[1][1][name]).max() < 1e-4 * max(numpy.abs(gradient).max(), 1e-3), name


def test_resume_bit_for_bit(world, options, tmp_path):
    ours, _, dataset, _, _, taught = world
    loss = loss_of(dict(options, weights_from=0.5) if options.get("class_weights") else options, taught)
    whole = kluere.Trainer(
        ours, dataset, batch_sentences=7, max_steps=6, learning_rate=1e-3, warmup_ratio=0, loss=loss, **ON
    )
    before = [whole.step() for _ in range(3)]
    whole.save_checkpoint(tmp_path / "checkpoint")
    resumed = kluere.Trainer.resume(tmp_path / "checkpoint", dataset)
    for first, second in itertools.zip_longest(whole.steps(), resumed.steps()):
        assert (first.loss, first.grad_norm, first.tokens) == (second.loss, second.grad_norm, second.tokens)
    whole.export_model().save(tmp_path / "a")
    resumed.export_model().save(tmp_path / "b")
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    assert before[0].loss > 0
    assert (tmp_path / "checkpoint/soft_targets.safetensors").exists() == bool(options.get("soft_targets"))


# ---- R-Drop


def perturbed(ours, folder, step, direction):
    """The model with `step` times direction on its weights."""
    from safetensors.numpy import load_file, save_file

    ours.save(folder)
    values = load_file(folder / "model.safetensors")
    moved = {name: (value + step * direction[name]).astype(numpy.float32) for name, value in values.items()}
    save_file(moved, folder / "model.safetensors", metadata={"format": "pt"})
    return kluere.Model.open(folder)


@pytest.mark.parametrize("loss", [kluere.Loss(r_drop=3.0), kluere.Loss(kind="focal", r_drop=1.0, label_smoothing=0.1)])
def test_r_drops_gradient_with_dropout_is_that_of_its_loss(world, loss, tmp_path):
    """The masks are a function of seed and update, so that the loss can be seen at moved weights."""
    ours, _, dataset, *_ = world

    def first(model):
        trainer = kluere.Trainer(
            model, dataset, batch_sentences=6, accumulation=4, max_steps=1, learning_rate=0, max_grad_norm=0, loss=loss,
            **ON,
        )
        return trainer.step(), trainer

    info, trainer = first(ours)
    gradients = {name: numpy.float64(value) for name, value in trainer.gradients.items()}
    norm = numpy.sqrt(sum((value**2).sum() for value in gradients.values()))
    direction = {name: value / norm for name, value in gradients.items()}
    h = 4e-3
    above, _ = first(perturbed(ours, tmp_path / "above", h, direction))
    below, _ = first(perturbed(ours, tmp_path / "below", -h, direction))
    assert (above.loss - below.loss) / (2 * h) == pytest.approx(norm, rel=1e-2)
    assert info.grad_norm == pytest.approx(norm, rel=1e-5)


def test_r_drop_is_cross_entropy_and_alpha_times_a_divergence(world):
    ours, _, dataset, *_ = world

    def step(dropout, **options):
        loss = kluere.Loss(**options) if options else None
        return kluere.Trainer(ours, dataset, batch_sentences=8, max_steps=1, loss=loss, **dropout).step()

    plain, twice = step(OFF), step(OFF, r_drop=4.0)
    assert twice.loss == pytest.approx(plain.loss, rel=1e-6) and twice.grad_norm == pytest.approx(plain.grad_norm, rel=1e-4)
    assert twice.tokens == 2 * plain.tokens and twice.sentences == plain.sentences
    losses = [step(ON, r_drop=alpha).loss for alpha in (1.0, 2.0, 4.0)]
    divergence = losses[1] - losses[0]
    assert divergence > 1e-3 and losses[2] - losses[1] == pytest.approx(2 * divergence, rel=1e-4)


def two_passes(ours, example, **options):
    """log p of the two dropout samples of an update's first sentence, told by plain cross entropy alone: two rows with the same
    sentence are these two passes, and their labels choose which two numbers the loss adds up."""

    def loss(first, second):
        rows = [dataclasses.replace(example, label=LABELS[label]) for label in (first, second)]
        dataset = kluere.Dataset.create(rows, labels=LABELS)
        return 2 * kluere.Trainer(ours, dataset, batch_sentences=2, max_steps=1, **options).step().loss

    rows = numpy.array([loss(label, 0) for label in range(len(LABELS))])  # -log p[label] - log q[0]
    columns = numpy.array([loss(0, label) for label in range(len(LABELS))])
    return [-values - numpy.log(numpy.exp(-values).sum()) for values in (rows, columns)]


@pytest.mark.parametrize("alpha", [0.5, 6.0])
def test_r_drop_is_what_its_two_passes_say(world, alpha):
    ours, _, dataset, *_ = world
    options = dict(learning_rate=0, warmup_ratio=0, max_grad_norm=0, **ON)
    log_p, log_q = two_passes(ours, dataset[3], **options)
    assert numpy.abs(log_p - log_q).max() > 0.05
    trainer = kluere.Trainer(ours, dataset.subset([3]), max_steps=1, loss=kluere.Loss(r_drop=alpha), **options)
    info = trainer.step()
    target = LABELS.index(dataset[3].label)
    logits = [torch.tensor(values, requires_grad=True) for values in (log_p, log_q)]
    p, q = (F.log_softmax(values, 0) for values in logits)
    divergence = F.kl_div(q, p, log_target=True, reduction="sum") + F.kl_div(p, q, log_target=True, reduction="sum")
    expected = -(p[target] + q[target]) / 2 + alpha * divergence / 2
    expected.backward()
    assert info.loss == pytest.approx(expected.item(), rel=1e-5)
    bias = (logits[0].grad + logits[1].grad).numpy()
    assert numpy.abs(trainer.gradients["classifier.out_proj.bias"] - bias).max() < 1e-5


def test_tokens_of_r_drop_count_twice(world):
    ours, _, dataset, *_ = world
    lengths = [len(ours.encode(example)) for example in dataset]
    options = dict(max_steps=1, loss=kluere.Loss(r_drop=1.0))
    trainer = kluere.Trainer(ours, dataset, batch_tokens=2 * max(lengths) + 1, **options)
    assert trainer.step().tokens <= 2 * max(lengths) + 1
    with pytest.raises(kluere.InvalidArgument, match="batch_tokens"):
        kluere.Trainer(ours, dataset, batch_tokens=2 * max(lengths) - 1, **options)


# ---- the rest


def test_a_plain_loss_is_no_loss(world, tmp_path):
    ours, _, dataset, *_ = world
    results = []
    for loss in (None, kluere.Loss(), "cross_entropy", kluere.Loss(kind="focal", gamma=0.0)):
        trainer = kluere.Trainer(ours, dataset, batch_sentences=8, max_steps=3, learning_rate=1e-3, loss=loss, **ON)
        results.append(([info.loss for info in trainer.steps()], trainer))
    for number, (_, trainer) in enumerate(results):
        trainer.export_model().save(tmp_path / str(number))
    files = [(tmp_path / str(number) / "model.safetensors").read_bytes() for number in range(3)]
    assert files[0] == files[1] == files[2] and results[0][0] == results[1][0] == results[2][0]
    assert results[3][0] == pytest.approx(results[0][0], rel=1e-6)  # another kernel


def test_evaluation_reports_plain_cross_entropy(world):
    ours, _, dataset, *_ = world
    plain = kluere.Trainer(ours, dataset, max_steps=1).evaluate(dataset).loss
    assert kluere.Trainer(ours, dataset, max_steps=1, loss="ldam").evaluate(dataset).loss == plain


def test_deferred_weights_begin_at_their_share(world):
    ours, _, dataset, targets, *_ = world
    options = dict(batch_sentences=ROWS, max_steps=4, learning_rate=0, **OFF)
    plain = kluere.Trainer(ours, dataset, **options).step().loss
    loss = kluere.Loss(class_weights="inverse", weights_from=0.5)
    losses = [info.loss for info in kluere.Trainer(ours, dataset, loss=loss, **options).steps()]
    weighted = kluere.Trainer(ours, dataset, loss=kluere.Loss(class_weights="inverse"), **options).step().loss
    assert losses[:2] == pytest.approx([plain, plain], rel=1e-6) and losses[2:] == pytest.approx([weighted] * 2, rel=1e-6)
    assert abs(plain - weighted) > 1e-3


def test_threads_change_nothing(world, tmp_path):
    ours, _, dataset, _, _, taught = world
    ours.save(tmp_path / "model")
    losses = []
    for threads in (1, 2):
        context = kluere.Context(threads=threads)
        trainer = kluere.Trainer(
            kluere.Model.open(tmp_path / "model", context=context), dataset, batch_sentences=12, max_steps=3,
            loss=loss_of(CASES["everything"], taught), **ON,
        )
        losses.append([(info.loss, info.grad_norm) for info in trainer.steps()])
    assert losses[0] == losses[1]


def test_certain_rows_stay_finite(world, tmp_path):
    """Logits of thousands: p is 1 or 0 to the last digit."""
    ours, _, dataset, _, _, taught = world
    sure = {name: numpy.zeros_like(value) for name, value in ours.tensors.items()}
    sure["classifier.out_proj.weight"] = numpy.random.default_rng(1).normal(0, 1, (len(LABELS), 24))
    model = perturbed(ours, tmp_path / "sure", 1e4, sure)
    for options in CASES.values():
        trainer = kluere.Trainer(model, dataset, batch_sentences=8, max_steps=1, loss=loss_of(options, taught), **ON)
        info = trainer.step()
        assert numpy.isfinite(info.loss) and numpy.isfinite(info.grad_norm)


def test_mappings_by_label_and_what_is_refused(world):
    ours, _, dataset, *_ = world
    options = dict(batch_sentences=ROWS, max_steps=1, **OFF)
    by_name = kluere.Loss(class_weights={"per:title": 3.0})
    by_number = kluere.Loss(class_weights=[1, 3, 1, 1, 1])
    first, second = (kluere.Trainer(ours, dataset, loss=loss, **options).step().loss for loss in (by_name, by_number))
    assert first == second
    with pytest.raises(ValueError, match="'nobody' is none of the model's 5 labels"):
        kluere.Trainer(ours, dataset, loss=kluere.Loss(class_weights={"nobody": 1.0}))
    with pytest.raises(ValueError, match="kind is 'hinge'"):
        kluere.Trainer(ours, dataset, loss="hinge")
    with pytest.raises(kluere.InvalidArgument, match="label_smoothing with kind ldam"):
        kluere.Trainer(ours, dataset, loss=kluere.Loss(kind="ldam", label_smoothing=0.1))


def test_a_checkpoint_without_its_soft_targets_is_refused(world, tmp_path):
    ours, _, dataset, _, _, taught = world
    trainer = kluere.Trainer(ours, dataset, max_steps=2, loss=loss_of(CASES["distillation"], taught))
    trainer.step()
    trainer.save_checkpoint(tmp_path / "checkpoint")
    path = tmp_path / "checkpoint" / "soft_targets.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(kluere.KluereError, match="soft_targets"):
        kluere.Trainer.resume(tmp_path / "checkpoint", dataset)
    path.unlink()
    with pytest.raises(kluere.KluereError, match="soft_targets"):
        kluere.Trainer.resume(tmp_path / "checkpoint", dataset)


# ---- pseudo-labels and files


def test_pseudo_labels(world):
    ours, _, dataset, *_ = world
    table = numpy.float32(ours.predict(dataset))
    best, confidence = table.argmax(1), table.max(1)
    threshold = float(numpy.sort(confidence)[ROWS // 3])
    kept, rows = dataset.pseudo_label(table, min_confidence=threshold)
    assert rows == [row for row in range(ROWS) if confidence[row] >= threshold] and len(rows) == len(kept) > 5
    for number, row in enumerate(rows):
        was, now = dataset[row], kept[number]
        assert (now.text, now.subject, now.object, now.id) == (was.text, was.subject, was.object, was.id)
        assert now.label == LABELS[best[row]]
    _, rows = dataset.pseudo_label(table, min_confidence=0, max_per_label=2)
    by_confidence = sorted(range(ROWS), key=lambda row: (-confidence[row], row))
    expected = [row for label in range(len(LABELS)) for row in [r for r in by_confidence if best[r] == label][:2]]
    assert rows == sorted(expected)
    _, rows = dataset.pseudo_label(table, min_confidence=0, max_rows=7)
    assert rows == sorted(by_confidence[:7])
    common = int(numpy.bincount(best).argmax())
    shares = {LABELS[common]: 1, LABELS[common - 1]: 3}
    _, rows = dataset.pseudo_label(table, min_confidence=0, max_rows=8, label_shares=shares)
    assert sum(best[row] == common for row in rows) == 2
    assert all(best[row] in (common, (common - 1) % len(LABELS)) for row in rows)
    both = dataset + kept
    assert len(both) == ROWS + len(kept) and both[ROWS].text == kept[0].text
    assert list(both.label_indices) == list(dataset.label_indices) + list(kept.label_indices)
    kluere.Trainer(ours, both, max_steps=1).step()


def test_concat_finds_labels_by_their_names(world):
    first = made_up.dataset(6, labels=LABELS, seed=1)
    second = made_up.dataset(6, labels=LABELS[::-1], seed=2)
    both = first.concat(second)
    assert both.labels == LABELS
    assert [row.label for row in both] == [row.label for row in first] + [row.label for row in second]


def competition(rows):
    labels = kluere.Dataset.create(made_up.examples(1, ["no_relation"]), labels="competition").labels
    examples = made_up.examples(rows, labels, seed=6, longest=6)
    return kluere.Dataset.create(examples, labels="competition"), kluere.Dataset.create(examples, labels="klue")


def test_probabilities_of_a_file(tmp_path):
    ordered, other = competition(9)
    table = numpy.float32(numpy.random.default_rng(2).dirichlet([0.3] * 30, 9))
    kluere.write_submission(tmp_path / "teacher.csv", ordered, table)
    numpy.save(tmp_path / "teacher.npy", table)
    assert kluere.read_probabilities(tmp_path / "teacher.csv", ordered) == pytest.approx(table, abs=1e-6)
    assert numpy.array_equal(kluere.read_probabilities(tmp_path / "teacher.npy", ordered), table)
    expected = table[:, [ordered.labels.index(label) for label in other.labels]]
    for given in (ordered, other):
        found = kluere.read_probabilities(tmp_path / "teacher.csv", given, other.labels)
        assert found == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="shape"):
        kluere.read_probabilities(tmp_path / "teacher.npy", ordered[:5])


def test_command_line(tmp_path, capsys):
    from kluere.cli import main

    _, train = competition(12)
    train.write(tmp_path / "train.json")
    made_up.write_tokenizer(tmp_path / "tokenizer")
    table = numpy.float32(numpy.random.default_rng(2).dirichlet([0.1] * 30, 12))
    numpy.save(tmp_path / "teacher.npy", table)
    common = ["train", str(tmp_path / "train.json"), "--tokenizer", str(tmp_path / "tokenizer"), "--layers", "1",
              "--hidden", "16", "--heads", "2", "--max-steps", "2", "--quiet", "--threads", "1"]
    assert main(common + ["-o", str(tmp_path / "out"), "--loss", "focal", "--gamma", "2", "--class-weights", "sqrt",
                          "--label-smoothing", "0.1", "--r-drop", "1", "--distill", str(tmp_path / "teacher.npy")]) == 0
    state = (tmp_path / "out/checkpoint-last/trainer_state.json").read_text(encoding="utf-8")
    assert '"kind": "focal"' in state and '"r_drop": 1.0' in state and '"distills": true' in state
    with pytest.raises(SystemExit):
        main(common + ["-o", str(tmp_path / "split"), "--distill", "teacher.npy", "--validation-fraction", "0.2"])
    assert "--validation-fraction" in capsys.readouterr().err
    assert main(common + ["-o", str(tmp_path / "refused"), "--gamma", "2"]) == 1
    assert "focal_gamma with kind cross_entropy" in capsys.readouterr().err
    assert main(["pseudo-label", str(tmp_path / "train.json"), "-o", str(tmp_path / "more.json"), "--probabilities",
                 str(tmp_path / "teacher.npy"), "--min-confidence", "0.5", "--train", str(tmp_path / "train.json")]) == 0
    sure = int((table.max(1) >= 0.5).sum())
    assert f"{sure} of 12 sentences kept" in capsys.readouterr().err and sure > 2
    more = kluere.Dataset.read(tmp_path / "more.json")
    assert len(more) == 12 + sure
    assert main(["pseudo-label", str(tmp_path / "train.json"), "-o", str(tmp_path / "asked.json"), "--model",
                 str(tmp_path / "out"), "--min-confidence", "0", "--max-rows", "5"]) == 0
    assert len(kluere.Dataset.read(tmp_path / "asked.json")) == 5
