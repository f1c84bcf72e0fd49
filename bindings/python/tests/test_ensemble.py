"""Voting, ranking, contributions and weight search against NumPy and scikit-learn; submissions as members."""

import itertools
import json
import math

import pytest

import kluere
import made_up
from test_evaluation import made
from test_metrics_parity import reference, softmax

numpy = pytest.importorskip("numpy")
pytest.importorskip("sklearn.metrics")


def members_and_labels(count, rows=250, classes=6, seed=0):
    members = []
    _, labels = made(rows, classes, seed=seed)
    for member in range(count):
        generator = numpy.random.default_rng(seed * 100 + member)
        logits = generator.normal(size=(rows, classes)) * 1.5
        logits[numpy.arange(rows), labels] += 1 + member % 3
        members.append(softmax(logits).astype(numpy.float32))
    return members, labels


def soft(members, weights):
    total = sum(numpy.float64(weight) * member.astype(numpy.float64) for weight, member in zip(weights, members))
    return (total / sum(weights)).astype(numpy.float32)


def hard(members, weights):
    """Votes, and the decided class by the documented rule."""
    rows, classes = members[0].shape
    votes = numpy.zeros((rows, classes))
    sums = numpy.zeros((rows, classes))
    for member, weight in zip(members, weights):
        votes[numpy.arange(rows), member.argmax(1)] += weight
        sums += weight * member.astype(numpy.float64)
    tied = votes >= votes.max(1, keepdims=True) - 1e-9 * sum(weights)
    return votes / sum(weights), numpy.where(tied, sums, -1).argmax(1)


@pytest.mark.parametrize("weights", [None, [1, 2, 3, 0, 0.5], [0, 0, 1, 0, 0]])
def test_votes_are_numpys(weights):
    members, _ = members_and_labels(5)
    given = weights or [1] * 5
    assert numpy.abs(kluere.combine(members, weights) - soft(members, given)).max() <= 6e-8
    found = kluere.combine(members, weights, vote="hard")
    votes, decided = hard(members, given)
    assert (found.argmax(1) == decided).all()
    assert numpy.abs(found - votes).max() <= 1.2e-7
    if weights is None:
        two = kluere.combine(members[:2], vote="hard")
        votes, decided = hard(members[:2], [1, 1])
        assert (members[0].argmax(1) != members[1].argmax(1)).sum() > 50, "the case wants ties"
        assert (two.argmax(1) == decided).all()


def test_logits_are_turned_into_probabilities_first():
    generator = numpy.random.default_rng(1)
    logits = [generator.normal(size=(30, 4)).astype(numpy.float32) * 5 for _ in range(3)]
    expected = numpy.mean([softmax(one.astype(numpy.float64)) for one in logits], axis=0)
    assert kluere.combine(logits, scores_are="logits") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", ["micro_f1", "auprc", "accuracy", "loss"])
@pytest.mark.parametrize("vote", ["soft", "hard"])
def test_ranking_and_contributions_are_numpys(metric, vote):
    members, labels = members_and_labels(4, rows=120)
    found = kluere.rank(members, labels, metric=metric, vote=vote)
    values = {(): math.log(6) if metric == "loss" else 0.0}
    for size in range(1, 5):
        for subset in itertools.combinations(range(4), size):
            # Decisions with their scores, as the library hands them out (compared with NumPy above).
            scores = kluere.combine([members[i] for i in subset], vote=vote)
            own = reference(scores, labels, 0, "skip")
            chosen = scores[numpy.arange(120), labels].astype(numpy.float64)
            with numpy.errstate(divide="ignore"):
                own["loss"] = -numpy.log(chosen).mean()
            values[subset] = own[metric]
            entry = next(one for one in found.subsets if one.members == subset)
            for name in ("micro_f1", "auprc", "accuracy"):
                assert getattr(entry, name) == pytest.approx(own[name], abs=1e-9)
            assert entry.loss == pytest.approx(own["loss"], rel=1e-9)
    sign = -1 if metric == "loss" else 1
    order = sorted(values.items() - {((), values[()])}, key=lambda one: (-sign * one[1], len(one[0]), one[0]))
    assert [one.members for one in found.subsets][:1] == [order[0][0]]
    assert [getattr(one, metric) for one in found.subsets] == pytest.approx([value for _, value in order], abs=1e-9)
    if math.isinf(values[(0,)]):
        return  # A hard vote that excludes the truth has no finite loss, and so no average gain.
    for member in range(4):
        gains = []
        for people in itertools.permutations(range(4)):
            before = tuple(sorted(people[: people.index(member)]))
            after = tuple(sorted(before + (member,)))
            gains.append(sign * (values[after] - values[before]))
        rest = tuple(i for i in range(4) if i != member)
        expected = [values[(member,)], values[rest], sign * (values[(0, 1, 2, 3)] - values[rest]), numpy.mean(gains)]
        one = found.contributions[member]
        assert [one.alone, one.without, one.leave_one_out, one.shapley] == pytest.approx(expected, abs=1e-9)


def greedy(members, labels, rounds):
    """Caruana et al. 2004, for micro-F1."""
    counts, best = [0] * len(members), (None, -1.0)
    for _ in range(rounds):
        values = []
        for member in range(len(members)):
            tried = [count + (i == member) for i, count in enumerate(counts)]
            values.append(reference(soft(members, tried), labels, 0, "skip")["micro_f1"])
        member = int(numpy.argmax(values))
        counts[member] += 1
        if values[member] > best[1]:
            best = (list(counts), values[member])
    return [count / sum(best[0]) for count in best[0]], best[1]


def test_the_search_is_greedy_selection_and_its_estimate_is_held_out():
    members, labels = members_and_labels(3, rows=160)
    folds = numpy.arange(160) % 4
    found = kluere.search_weights(members, labels, folds=folds, rounds=5)
    weights, value = greedy(members, labels, 5)
    assert found.weights == pytest.approx(weights) and found.value == pytest.approx(value, abs=1e-9)
    equal = reference(soft(members, [1, 1, 1]), labels, 0, "skip")["micro_f1"]
    assert found.equal_weights == pytest.approx(equal, abs=1e-9)
    scores = numpy.zeros_like(members[0])
    for fold in range(4):
        inside, outside = folds == fold, folds != fold
        own, _ = greedy([member[outside] for member in members], labels[outside], 5)
        assert found.fold_weights[fold] == pytest.approx(own)
        scores[inside] = soft([member[inside] for member in members], own)
    assert found.held_out == pytest.approx(reference(scores, labels, 0, "skip")["micro_f1"], abs=1e-9)
    again = kluere.search_weights(members, labels, seed=3)
    assert again == kluere.search_weights(members, labels, seed=3) and sum(again.weights) == pytest.approx(1)


def test_what_cannot_be_combined_is_refused():
    members, labels = members_and_labels(2, rows=20)
    for arguments in [dict(weights=[-1, 1]), dict(weights=[0, 0]), dict(weights=[math.nan, 1])]:
        with pytest.raises(kluere.KluereError):
            kluere.combine(members, **arguments)
    with pytest.raises(kluere.KluereError, match="at most 16"):
        kluere.rank(members[:1] * 17, labels)
    with pytest.raises(kluere.KluereError, match="metric"):
        kluere.rank(members, labels, metric="micro_recall")
    for arguments in [dict(folds=1), dict(folds=21), dict(folds=[0] * 19 + [2]), dict(rounds=0)]:
        with pytest.raises(kluere.KluereError):
            kluere.search_weights(members, labels, **arguments)
    for members_ in ([], [members[0], members[1][:5]], [members[0], members[1][:, :3]]):
        with pytest.raises(ValueError):
            kluere.combine(members_)
    with pytest.raises(ValueError):
        kluere.combine(members, [1])


@pytest.fixture
def submission(tmp_path):
    """A dataset in KLUE's label order with ids, and a submission written in the competition's order, rows turned."""
    names = kluere.Dataset.create(made_up.examples(1, ["no_relation"])).labels
    rows = made_up.examples(40, names, seed=4)
    dataset = kluere.Dataset.create(rows)
    model = made_up.model(tmp_path / "tokenizer", labels=names)
    probabilities = model.predict(dataset)
    model.write_submission(tmp_path / "sub.csv", dataset, probabilities)
    lines = (tmp_path / "sub.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "sub.csv").write_text("\n".join([lines[0]] + lines[:0:-1]) + "\n", encoding="utf-8")
    return tmp_path / "sub.csv", dataset, numpy.asarray(probabilities)


def test_a_submission_comes_back_in_the_datasets_order(submission):
    path, dataset, probabilities = submission
    read, predictions = kluere.read_submission(path, dataset)
    assert (numpy.asarray(read) == probabilities).all()
    assert (numpy.asarray(predictions) == probabilities.argmax(1)).all()


def test_a_submission_without_ids_in_the_dataset_goes_by_number(tmp_path):
    competition = kluere.Dataset.create(made_up.examples(1, ["no_relation"]), labels="competition").labels
    rows = [kluere.Example(e.text, e.subject, e.object) for e in made_up.examples(3, ["no_relation"])]
    dataset = kluere.Dataset.create(rows, labels="competition")
    lines = ["probs,id,pred_label"]
    for number in (2, 0, 1):
        one = [0.0] * 30
        one[number] = 1
        lines.append(f'"{one}",{number},{competition[5]}')
    (tmp_path / "s.csv").write_text("\n".join(lines), encoding="utf-8")
    read, predictions = kluere.read_submission(tmp_path / "s.csv", dataset)
    assert [list(row).index(1) for row in read] == [0, 1, 2] and list(predictions) == [5, 5, 5]


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda lines: lines[:-1], "39 rows, the dataset has 40"),
        (lambda lines: lines + [lines[-1]], "twice"),
        (lambda lines: [line.replace("made-up-3,", "unknown,") for line in lines], "none of the dataset's rows"),
        (lambda lines: [lines[0].replace("probs", "scores")] + lines[1:], "no header"),
        (lambda lines: [line.replace("[0", "[1e3, 0", 1) for line in lines], "31 values"),
        (lambda lines: [line.replace("[0", "[-0", 1) for line in lines], "expected 0 to 1"),
        (lambda lines: [line.replace("[0", "['a'", 1) for line in lines], "literal"),
        (lambda lines: [line.replace(",no_relation,", ",relation,") for line in lines], "pred_label"),
        (lambda lines: [line + ",more" if i == 3 else line for i, line in enumerate(lines)], "4 fields"),
        (lambda lines: [], "no header"),
    ],
)
def test_a_bad_submission_is_refused_with_its_place(submission, change, words):
    path, dataset, _ = submission
    lines = path.read_text(encoding="utf-8").splitlines()
    # Every row must fail or none: the first label is made common so that one change meets it.
    lines = [lines[0]] + [",".join([line.split(",")[0], "no_relation"] + line.split(",")[2:]) for line in lines[1:]]
    path.write_text("\n".join(change(lines)) + "\n", encoding="utf-8")
    with pytest.raises(kluere.KluereError, match=words):
        kluere.read_submission(path, dataset)


def test_a_missing_submission_is_an_io_error(submission, tmp_path):
    with pytest.raises(kluere.KluereError, match="nowhere"):
        kluere.read_submission(tmp_path / "nowhere.csv", submission[1])
    other = made_up.dataset(3)
    with pytest.raises(kluere.KluereError, match="label"):
        kluere.read_submission(submission[0], other)


def test_type_names_of_the_table():
    members, labels = members_and_labels(3, rows=60)
    ranking = kluere.rank(members, labels)
    table = ranking.table(["a", "b", "c"], top=2).splitlines()
    assert len(table) == 3 and "micro-F1" in table[0] and json.dumps(table[1])
    assert table[1].split()[3].strip(",") in "abc"
