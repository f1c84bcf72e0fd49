"""Recipes: what C's structs get, what Python's keywords are, and what a saved model carries."""

import ctypes
import json

import pytest

import kluere
import made_up
from kluere import _abi
from kluere._arrays import choice_name
from kluere._library import check, initialized, library

NAMES = [
    "klue-paper-base", "klue-paper-large", "baseline", "report-1", "report-2", "report-3", "report-4", "report-5", "report-6",
    "typed-punct", "mtb-f", "r-bert",
]
ENUMS = {
    "input_form": "KLUERE_INPUT_", "head": "KLUERE_HEAD_", "after_marker": "KLUERE_AFTER_MARKER_",
    "particles": "KLUERE_PARTICLES_", "schedule": "KLUERE_SCHEDULE_", "best_metric": "KLUERE_BEST_",
    "precision": "KLUERE_PRECISION_", "optimizer": "KLUERE_OPTIMIZER_", "kind": "KLUERE_LOSS_",
    "class_weight_rule": "KLUERE_CLASS_WEIGHTS_", "smoothing_mode": "KLUERE_SMOOTHING_", "rows": "KLUERE_CORPUS_",
}  # fmt: skip


LABELS = ["no_relation", "per:title", "org:members", "한국어 라벨"]


def tokenizer(folder):
    """made_up's, with pieces for the words of every form."""
    made_up.write_tokenizer(folder)
    words = "의 관계는 무엇인가?와사이과인.(장기타고유명량)-$조직기관계에/:[]"
    pieces = made_up.vocabulary() + [p + c for c in words if c.strip() for p in ("", "##")]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(pieces)) + "\n", encoding="utf-8")
    return kluere.Tokenizer(folder)


def structs():
    kinds = ("model_config", "model_open_options", "train_options", "loss_options", "corpus_options", "masked_lm_options")
    return [initialized(getattr(_abi, f"kluere_{kind}"), f"kluere_{kind}_init") for kind in kinds]


def holds(struct, values):
    """The struct's fields are the recipe's values, and the rest is as init left it."""
    fresh = initialized(type(struct), type(struct).__name__ + "_init")
    for name, _ in struct._fields_:
        found = getattr(struct, name)
        if name in values:
            expected = values[name]
            if name in ENUMS:
                found = choice_name(found, ENUMS[name])
            elif isinstance(found, bytes):
                found = found.decode()
            assert found == pytest.approx(expected, rel=1e-7) if isinstance(expected, float) else found == expected, name
        elif name not in ("recipe", "loss") and not isinstance(found, ctypes._Pointer):
            assert found == getattr(fresh, name), name
    assert set(values) <= {name for name, _ in struct._fields_}


def test_names():
    assert kluere.recipes() == NAMES
    assert library().kluere_recipe_name(len(NAMES)) is None


@pytest.mark.parametrize("name", NAMES)
def test_c_structs_get_what_the_file_says(name):
    recipe = kluere.Recipe(name)
    says = json.loads(recipe.json)
    assert says["name"] == recipe.name == name and recipe.title and recipe.source and recipe.backbone
    config, opening, train, loss, corpus, masking = structs()
    byref = ctypes.byref
    check(library().kluere_recipe_apply_model(recipe._handle, byref(config), byref(opening)))
    model = dict(says["model"])
    if "input_template" in model:
        model["input_form"] = "template"
    holds(config, model)
    holds(opening, model)
    assert config.recipe == opening.recipe == name.encode()
    check(library().kluere_recipe_apply_training(recipe._handle, byref(train), byref(loss)))
    holds(train, says["training"])
    holds(loss, says.get("loss", {}))
    assert bool(train.loss) == ("loss" in says)
    other = initialized(_abi.kluere_train_options, "kluere_train_options_init")
    status = library().kluere_recipe_apply_pretraining(recipe._handle, byref(corpus), byref(masking), byref(other))
    if "pretraining" in says:
        check(status)
        holds(corpus, says["corpus"])
        holds(masking, says["masking"])
        holds(other, says["pretraining"])
    else:
        assert status == _abi.KLUERE_ERR_STATE


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_trains_and_its_model_carries_it(tmp_path, name):
    recipe = kluere.Recipe(name)
    small = dict(family="roberta", hidden_size=24, layer_count=1, head_count=2, intermediate_size=32, max_positions=128)
    model = kluere.Model.create(tokenizer(tmp_path / "start"), labels=LABELS, **{**recipe.model, **small, "max_tokens": 100})
    rows = made_up.dataset(6, LABELS)
    training = {**recipe.training, "max_steps": 2, "precision": "float32", "batch_sentences": 3, "accumulation": 1}
    with kluere.Trainer(model, rows, loss=recipe.loss, **training) as trainer:
        while not trainer.step().done:
            pass
        trainer.export_model().save(tmp_path / "model")
    again = kluere.Model.open(tmp_path / "model")
    assert again.config.recipe == name and again.config.head == recipe.model["head"]
    assert again.predict(rows).shape == (6, len(again.labels))


def write(path, **recipe):
    path.write_text(json.dumps({"name": "mine", **recipe}), "utf-8")
    return str(path)


def test_a_file_of_ones_own(tmp_path):
    path = write(
        tmp_path / "mine.json", model={"head": "r_bert"}, loss={"kind": "ldam", "ldam_scale": 10},
        training={"learning_rate": 1e-4, "group_by_length": True, "layer_decay": 0.9},
    )
    recipe = kluere.Recipe(path)
    assert recipe.name == "mine" and recipe.model == {"head": "r_bert", "recipe": "mine"}
    assert recipe.loss.kind == "ldam" and recipe.loss.ldam_scale == 10
    _, _, train, loss, _, _ = structs()
    check(library().kluere_recipe_apply_training(recipe._handle, ctypes.byref(train), ctypes.byref(loss)))
    assert train.group_by_length == 1 and train.layer_decay == 0.9 and loss.kind == _abi.KLUERE_LOSS_LDAM


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"model": {"hed": "cls"}}, 'model: hed: no such option, expected one of input_form'),
        ({"model": {"head": "clss"}}, "model: head: expected one of cls, cls_linear"),
        ({"model": {"max_tokens": -1}}, "model: max_tokens: expected a whole number from 0 on"),
        ({"model": {"max_tokens": 1e3}}, "model: max_tokens: expected a whole number"),
        ({"model": {"input_template": 3}}, "model: input_template: expected a text"),
        ({"training": {"epochs": "3"}}, "training: epochs: expected a number"),
        ({"training": {"group_by_length": 1}}, "training: group_by_length: expected true or false"),
        ({"training": {"output_directory": "/tmp"}}, "training: output_directory: no such option"),
        ({"loss": {"gamma": 2}}, "loss: gamma: no such option, expected one of kind"),
        ({"pretraining": {"seed": 1e30}}, "pretraining: seed: expected a whole number"),
        ({"masking": []}, "masking: an array, expected an object"),
    ],
)
def test_what_no_option_has_is_refused(tmp_path, section, words):
    with pytest.raises(kluere.KluereError, match=r"mine\.json") as refused:
        kluere.Recipe(write(tmp_path / "mine.json", **section))
    assert words in str(refused.value)


def test_calls_that_cannot_be_right(tmp_path):
    with pytest.raises(kluere.KluereError, match="typed-punct"):
        kluere.Recipe("typed_punct")
    with pytest.raises(kluere.KluereError, match="No such file"):
        kluere.Recipe(str(tmp_path / "none.json"))
    focal = kluere.Recipe("report-4")
    _, _, train, _, _, _ = structs()
    assert library().kluere_recipe_apply_training(focal._handle, ctypes.byref(train), None) == (
        _abi.KLUERE_ERR_INVALID_ARGUMENT
    )
    assert train.batch_sentences == 32  # untouched
    # An older header's struct, which ends before head: it has no room for what this recipe says.
    config = initialized(_abi.kluere_model_config, "kluere_model_config_init")
    config.struct_size = _abi.kluere_model_config.head.offset
    assert library().kluere_recipe_apply_model(focal._handle, ctypes.byref(config), None) == _abi.KLUERE_ERR_VERSION
    assert config.max_tokens == 0
    assert library().kluere_recipe_apply_model(focal._handle, None, None) == _abi.KLUERE_OK
