/* Recipes: names and files that are none, structs without room, and all of the library's as a program would use them. */
#include "bad_input.h"

#include <stdio.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, HANDLE = KLUERE_ERR_BAD_HANDLE, FORMAT = KLUERE_ERR_BAD_FORMAT };

static void names_and_files(struct fixture *f) {
  static const char *const texts[] = {
      "",
      "{",
      "[]",
      "{}",
      "{\"name\": \"\"}",
      "{\"name\": 3}",
      "{\"name\": \"x\", \"models\": {}}",
      "{\"name\": \"x\", \"model\": []}",
      "{\"name\": \"x\", \"model\": {\"head\": {}}}",
      "{\"name\": \"x\", \"model\": {\"head\": \"none\"}}",
      "{\"name\": \"x\", \"model\": {\"struct_size\": 1}}",
      "{\"name\": \"x\", \"model\": {\"input_template\": \"a\\u0000b\"}}",
      "{\"name\": \"x\", \"training\": {\"batch_sentences\": 4294967296}}",
      "{\"name\": \"x\", \"training\": {\"seed\": -1}}",
      "{\"name\": \"x\", \"training\": {\"epochs\": true}}",
      "{\"name\": \"x\", \"loss\": {\"class_weights\": \"sqrt\"}}",
  };
  char path[1024];
  kluere_recipe *recipe = NULL;
  REFUSES(BAD, kluere_recipe_open(NULL, &recipe));
  REFUSES(BAD, kluere_recipe_open("", &recipe));
  REFUSES(BAD, kluere_recipe_open("baseline", NULL));
  REFUSES(BAD, kluere_recipe_open("baselines", &recipe));
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_recipe_open("\xff", &recipe));
  REFUSES(KLUERE_ERR_IO, kluere_recipe_open("/no such folder/x.json", &recipe));
  snprintf(path, sizeof path, "%s/recipe.json", f->scratch);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    write_text(path, texts[i]);
    REFUSES(FORMAT, kluere_recipe_open(path, &recipe));
  }
  write_text(path, "\xff");
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_recipe_open(path, &recipe));
  HOLDS(recipe == NULL);
  HOLDS(kluere_recipe_json(NULL) == NULL);
  HOLDS(kluere_recipe_name(kluere_recipe_count()) == NULL);
  HOLDS(kluere_recipe_name((size_t)-1) == NULL);
  kluere_recipe_destroy(NULL);
}

static void structs_of(const char *name) {
  kluere_recipe *recipe = NULL;
  kluere_model_config config;
  kluere_model_open_options open;
  kluere_train_options train;
  kluere_loss_options loss;
  SUCCEEDS(kluere_recipe_open(name, &recipe));
  HOLDS(strstr(kluere_recipe_json(recipe), name) != NULL);
  SUCCEEDS(kluere_model_config_init(&config, sizeof config));
  SUCCEEDS(kluere_model_open_options_init(&open, sizeof open));
  SUCCEEDS(kluere_train_options_init(&train, sizeof train));
  SUCCEEDS(kluere_loss_options_init(&loss, sizeof loss));
  SUCCEEDS(kluere_recipe_apply_model(recipe, &config, &open));
  SUCCEEDS(kluere_recipe_apply_training(recipe, &train, &loss));
  HOLDS(strcmp(config.recipe, name) == 0 && strcmp(open.recipe, name) == 0);
  HOLDS(config.head == open.head && config.input_form == open.input_form && config.max_tokens == open.max_tokens);
  HOLDS(config.struct_size == sizeof config && train.struct_size == sizeof train);
  HOLDS(train.loss == NULL || train.loss == &loss);
  config.struct_size = 3;
  REFUSES(BAD, kluere_recipe_apply_model(recipe, &config, NULL));
  train.struct_size = 0;
  REFUSES(BAD, kluere_recipe_apply_training(recipe, &train, &loss));
  kluere_recipe_destroy(recipe);
  REFUSES(HANDLE, kluere_recipe_apply_model(recipe, NULL, &open));
  REFUSES(HANDLE, kluere_recipe_apply_training(recipe, NULL, NULL));
  REFUSES(HANDLE, kluere_recipe_apply_pretraining(recipe, NULL, NULL, NULL));
  HOLDS(kluere_recipe_json(recipe) == NULL);
}

/* A model keeps the name through its folder. */
static void models(struct fixture *f) {
  kluere_model_open_options open;
  kluere_model_config config;
  kluere_model *model = NULL, *again = NULL;
  char path[1024];
  snprintf(path, sizeof path, "%s/recipe-model", f->scratch);
  SUCCEEDS(kluere_model_open_options_init(&open, sizeof open));
  open.recipe = "\xff";
  SUCCEEDS(kluere_model_save(f->model, path));
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_model_open(f->context, path, &open, &model));
  open.recipe = "of mine";
  SUCCEEDS(kluere_model_open(f->context, path, &open, &model));
  SUCCEEDS(kluere_model_save(model, path));
  SUCCEEDS(kluere_model_open(f->context, path, NULL, &again));
  config.struct_size = sizeof config;
  SUCCEEDS(kluere_model_describe(again, &config));
  HOLDS(config.recipe != NULL && strcmp(config.recipe, "of mine") == 0);
  kluere_model_destroy(again);
  kluere_model_destroy(model);
}

void bad_recipes(struct fixture *f) {
  names_and_files(f);
  HOLDS(kluere_recipe_count() == 12);
  for (size_t i = 0; i < kluere_recipe_count(); i++) structs_of(kluere_recipe_name(i));
  models(f);
}
