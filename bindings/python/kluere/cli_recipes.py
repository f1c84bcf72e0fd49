"""python -m kluere recipes, and --recipe of the commands that train."""

from __future__ import annotations

import argparse
from typing import Optional

from .cli_common import input_options
from .loss import Loss
from .recipe import Recipe, recipes


def add_recipe(parser, what="input form, head, loss and training as a recipe has them") -> None:
    parser.add_argument(
        "--recipe", metavar="NAME",
        help=what + ", where no option says otherwise; a name that "
        "`kluere recipes` lists, or a .json file of yours. Any option of the loss replaces the recipe's loss as a whole",
    )


def _recipe(options) -> Optional[Recipe]:
    return Recipe(options.recipe) if options.recipe else None


def _over(recipe: dict, given: dict) -> dict:
    """`given` where it says something, else the recipe's."""
    return {**recipe, **{name: value for name, value in given.items() if value is not None}}


def model_options(options) -> dict:
    """What Model.open and Model.create take of the command line and the recipe."""
    given = input_options(options)
    recipe = _recipe(options)
    if recipe is None:
        return given
    theirs = recipe.model
    if given["input_form"] is not None or given["input_template"] is not None:  # another form comes with its own ways
        for name in ("input_form", "input_template", "after_marker"):
            theirs.pop(name, None)
    return _over(theirs, given)


def training_options(options, given: dict) -> dict:
    """The same for Trainer."""
    recipe = _recipe(options)
    if recipe is None:
        return given
    theirs = recipe.training
    if options.precision is None and "precision" in theirs:
        given = {**given, "precision": None}
    if given.get("epochs") is not None and given.get("max_steps") is None:
        theirs.pop("max_steps", None)
    if given.get("batch_sentences") is not None and given.get("batch_tokens") is None:
        theirs.pop("batch_tokens", None)
    if given.get("warmup_ratio") is not None:
        theirs.pop("warmup_steps", None)
    if given.get("batch_tokens") is not None:
        theirs.pop("batch_sentences", None)
    return _over(theirs, given)


def loss_or_recipe(options, loss: Optional[Loss]) -> Optional[Loss]:
    """The command line's loss as a whole, else the recipe's."""
    recipe = _recipe(options)
    return loss if loss is not None or recipe is None else recipe.loss


def _pretraining(options) -> Optional[Recipe]:
    recipe = Recipe(options.recipe) if getattr(options, "recipe", None) else None
    if recipe is not None and not recipe.pretraining:
        raise ValueError(f"recipe {recipe.name} has no pretraining")
    return recipe


def corpus_options(options, given: dict) -> dict:
    """The same for the text of tapt."""
    recipe = _pretraining(options)
    return given if recipe is None else _over(recipe.corpus, given)


def pretraining_options(options, given: dict) -> dict:
    """The same for MaskedLMTrainer."""
    recipe = _pretraining(options)
    if recipe is None:
        return given
    theirs = {**recipe.masking, **recipe.pretraining}
    theirs.pop("best_metric", None)  # the loss is the only one
    if options.precision is None and "precision" in theirs:
        given = {**given, "precision": None}
    return _over(theirs, given)


def use_pipeline_of_recipe(options) -> None:
    """Pairs, threshold and folds of a cascade, where the command line has none."""
    recipe = _recipe(options)
    theirs = recipe.pipeline if recipe is not None else None
    if not theirs or theirs.get("kind") != options.kind:
        return
    options.pair = options.pair or list(theirs.get("pairs", []))
    if options.threshold is None and options.rule != "product":
        options.threshold = theirs.get("threshold")
    if not options.folds and options.dev is None and options.validation_fraction is None:
        options.folds = theirs.get("folds", 0)


# ---- recipes


def _add_recipes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="one of them, or a .json file: all it says")
    parser.add_argument("--json", action="store_true", help="NAME as the JSON that it is")


def _recipes(options, parser: argparse.ArgumentParser) -> None:
    if options.name is None:
        if options.json:
            parser.error("--json needs a NAME")
        width = max(map(len, recipes()))
        for name in recipes():
            print(f"{name:{width}}  {Recipe(name).title}")
        return
    recipe = Recipe(options.name)
    if options.json:
        print(recipe.json, end="")
        return
    print(f"{recipe.name}: {recipe.title}")
    for name in ("source", "backbone", "published"):
        if recipe.as_dict.get(name):
            print(f"  {name}: {recipe.as_dict[name]}")
    for section in ("corpus", "masking", "pretraining", "model", "loss", "training", "pipeline"):
        values = recipe.as_dict.get(section)
        if values:
            print(f"  {section}: " + ", ".join(f"{name} {value}" for name, value in values.items()))
    for note in recipe.notes:
        print(f"  note: {note}")


RECIPE_COMMANDS = [("recipes", _add_recipes, _recipes, "named sets of options: KLUE's, the report's, papers'")]
