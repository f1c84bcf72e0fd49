"""Recipes: named sets of options, the library's own and files of the same form."""

from __future__ import annotations

import ctypes
import json
from typing import List, Optional

from . import _abi
from ._handle import Handle
from ._library import c_path, check, library
from .loss import Loss


def recipes() -> List[str]:
    """Names of the library's own recipes."""
    names = (library().kluere_recipe_name(index) for index in range(library().kluere_recipe_count()))
    return [name.decode() for name in names]


# Where a keyword of Loss is not called as the field of kluere_loss_options.
_LOSS_KEYWORDS = {"class_weight_rule": "class_weights", "focal_gamma": "gamma", "focal_alpha": "alpha"}


class Recipe(Handle):
    """A set of options with a name: one of recipes(), or the path of a JSON file of the same form (docs/recipes.md).

    name, title, source, backbone, published, notes   texts for people
    model         keywords of Model.open and Model.create, `recipe` among them: a saved model carries it
    training      keywords of Trainer
    loss          Trainer's loss, or None
    corpus        keywords of Corpus.from_datasets; masking, pretraining: of MaskedLMTrainer; empty without pretraining
    pipeline      for a recipe of several models: {"kind", ...}, else None

        recipe = kluere.Recipe("typed-punct")
        model = kluere.Model.open(folder, **recipe.model)
        trainer = kluere.Trainer(model, train, held_out, loss=recipe.loss, **recipe.training)
    """

    _destroy_name = "kluere_recipe_destroy"

    def __init__(self, name: str) -> None:
        pointer = ctypes.c_void_p()
        check(library().kluere_recipe_open(c_path(name), ctypes.byref(pointer)))
        super().__init__(pointer)
        self.json: str = library().kluere_recipe_json(self._handle).decode()
        self.as_dict: dict = json.loads(self.json)

    @property
    def name(self) -> str:
        return self.as_dict["name"]

    @property
    def title(self) -> str:
        return self.as_dict.get("title", "")

    @property
    def source(self) -> str:
        return self.as_dict.get("source", "")

    @property
    def backbone(self) -> str:
        return self.as_dict.get("backbone", "")

    @property
    def published(self) -> str:
        return self.as_dict.get("published", "")

    @property
    def notes(self) -> List[str]:
        return list(self.as_dict.get("notes", []))

    def _section(self, name: str) -> dict:
        return dict(self.as_dict.get(name, {}))

    @property
    def model(self) -> dict:
        return {**self._section("model"), "recipe": self.name}

    @property
    def training(self) -> dict:
        return self._section("training")

    @property
    def loss(self) -> Optional[Loss]:
        options = self._section("loss")
        if not options:
            return None
        return Loss(**{_LOSS_KEYWORDS.get(key, key): value for key, value in options.items()})

    @property
    def corpus(self) -> dict:
        return self._section("corpus")

    @property
    def masking(self) -> dict:
        return self._section("masking")

    @property
    def pretraining(self) -> dict:
        return self._section("pretraining")

    @property
    def pipeline(self) -> Optional[dict]:
        return self.as_dict.get("pipeline")

    def __repr__(self) -> str:
        return "<kluere.Recipe closed>" if self.closed else f"<kluere.Recipe {self.name}>"
