/* Pipelines and selections: members that do not go together, folders that are none, and one that predicts. */
#include "bad_input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, HANDLE = KLUERE_ERR_BAD_HANDLE, CELLS = FIXTURE_ROWS * FIXTURE_LABELS };

static const char *const two_labels[2] = {"no_relation", "relation"};

static kluere_pipeline_member member(const kluere_model *model, int32_t role) {
  kluere_pipeline_member made = {0};
  made.model = model;
  made.role = role;
  return made;
}

static void selecting(struct fixture *f) {
  kluere_dataset *out = NULL;
  kluere_select_options options;
  SUCCEEDS(kluere_select_options_init(&options, sizeof options));
  REFUSES(HANDLE, kluere_dataset_select(NULL, &options, &out));
  REFUSES(BAD, kluere_dataset_select(f->train, &options, NULL));
  options.exclude_labels = 1;
  REFUSES(BAD, kluere_dataset_select(f->train, &options, &out));
  options.labels = fixture_labels;
  options.label_count = FIXTURE_LABELS;
  REFUSES(BAD, kluere_dataset_select(f->train, &options, &out));
  options.exclude_labels = 2;
  REFUSES(BAD, kluere_dataset_select(f->train, &options, &out));
  options.exclude_labels = 0;
  options.label_count = 2;
  options.narrow_labels = 2;
  REFUSES(BAD, kluere_dataset_select(f->train, &options, &out));
  options.narrow_labels = 1;
  options.subject_type = "\xFF";
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_dataset_select(f->train, &options, &out));
  options.subject_type = "ORG";
  REFUSES(BAD, kluere_dataset_select(f->train, &options, &out));
  options.subject_type = "PER";
  options.labels = two_labels;
  REFUSES(BAD, kluere_dataset_select(f->train, &options, &out));
  options.labels = fixture_labels + 1;
  options.label_count = 1;
  REFUSES(BAD, kluere_dataset_select(f->hidden, &options, &out));
  if (SUCCEEDS(kluere_dataset_select(f->train, &options, &out))) {
    HOLDS(kluere_dataset_count(out) == FIXTURE_ROWS / FIXTURE_LABELS && kluere_dataset_label_count(out) == 2);
    HOLDS(strcmp(kluere_dataset_label(out, 0), "no_relation") == 0);
    REFUSES(BAD, kluere_dataset_binary(f->train, NULL));
    kluere_dataset_destroy(out);
  }
  REFUSES(HANDLE, kluere_dataset_binary(NULL, &out));
  if (SUCCEEDS(kluere_dataset_binary(f->train, &out))) {
    int32_t indices[FIXTURE_ROWS];
    SUCCEEDS(kluere_dataset_label_indices(out, indices, FIXTURE_ROWS));
    HOLDS(indices[0] == 0 && indices[1] == 1 && indices[2] == 1 && kluere_dataset_label_count(out) == 2);
    kluere_dataset_destroy(out);
  }
}

static void folders(struct fixture *f) {
  static const char *const files[] = {
      "", "[]", "{", "{\"format_version\": 1}", "{\"format_version\": 9, \"kind\": \"mean\", \"members\": []}",
      "{\"format_version\": 1, \"kind\": \"mean\"}", "{\"format_version\": 1, \"kind\": \"mean\", \"members\": [1]}",
      "{\"format_version\": 1, \"kind\": \"mean\", \"members\": []}",
      "{\"format_version\": 1, \"kind\": \"mean\", \"members\": [{\"folder\": \"\", \"role\": \"general\"}]}",
      "{\"format_version\": 1, \"kind\": \"mean\", \"members\": [{\"folder\": \"a/../../b\", \"role\": \"general\"}]}",
      "{\"format_version\": 1, \"kind\": \"cascade\", \"threshold\": 1e999, \"members\": []}"};
  const char *folder = path_in(f->scratch, "pipeline");
  kluere_pipeline *out = NULL;
  remove_folder(folder);
  REFUSES(KLUERE_ERR_IO, kluere_pipeline_open(f->context, folder, NULL, &out));
  make_folder(folder);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    write_text(path_in(folder, "pipeline.json"), files[i]);
    REFUSES_CASE(files[i], 0, kluere_pipeline_open(f->context, folder, NULL, &out));
  }
  REFUSES(HANDLE, kluere_pipeline_open(NULL, folder, NULL, &out));
  REFUSES(BAD, kluere_pipeline_open(f->context, NULL, NULL, &out));
  REFUSES(BAD, kluere_pipeline_open(f->context, folder, NULL, NULL));
  HOLDS(out == NULL);
  remove_folder(folder);
}

static void saved(struct fixture *f, kluere_pipeline *pipeline, const float *expected) {
  const char *folder = path_in(f->scratch, "saved-pipeline");
  kluere_pipeline *again = NULL;
  kluere_pipeline_member_info member;
  float out[CELLS];
  const char *const parts[] = {"binary-0", "general-1", "specific-2"};
  REFUSES(HANDLE, kluere_pipeline_save(NULL, folder));
  REFUSES(BAD, kluere_pipeline_save(pipeline, NULL));
  REFUSES(KLUERE_ERR_STATE, kluere_pipeline_save(pipeline, f->scratch));
  SUCCEEDS(kluere_pipeline_save(pipeline, folder));
  SUCCEEDS(kluere_pipeline_save(pipeline, folder));
  if (!SUCCEEDS(kluere_pipeline_open(f->context, folder, NULL, &again))) return;
  SUCCEEDS(kluere_pipeline_predict_dataset(again, f->train, out, CELLS));
  HOLDS(memcmp(out, expected, sizeof out) == 0);
  member.struct_size = sizeof member;
  REFUSES(BAD, kluere_pipeline_describe_member(again, 3, &member));
  SUCCEEDS(kluere_pipeline_describe_member(again, 2, &member));
  HOLDS(member.role == KLUERE_MEMBER_SPECIFIC && strcmp(member.object_type, "ORG") == 0);
  HOLDS(strcmp(member.folder, "specific-2") == 0);
  /* pipeline.json cut short: a status, nothing else. */
  size_t size;
  const char *path = path_in(folder, "pipeline.json");
  char *bytes = read_bytes(path, &size);
  for (size_t i = 0; i < size; i += 7) {
    kluere_pipeline *cut = NULL;
    write_bytes(path, bytes, i);
    REFUSES_CASE("pipeline.json cut short", 0, kluere_pipeline_open(f->context, folder, NULL, &cut));
  }
  free(bytes);
  kluere_pipeline_destroy(again);
  for (int i = 0; i < 3; i++) remove_folder(path_in(folder, parts[i]));
  remove_folder(folder);
}

static void members(struct fixture *f) {
  kluere_model_config config = fixture_config();
  kluere_model *binary = NULL;
  kluere_pipeline *out = NULL;
  kluere_pipeline_options options;
  kluere_predictor_options predictor;
  config.seed = 7;
  if (!SUCCEEDS(kluere_model_create(f->context, f->tokenizer, &config, two_labels, 2, &binary))) return;
  kluere_pipeline_member all[3] = {member(binary, KLUERE_MEMBER_BINARY), member(f->model, KLUERE_MEMBER_GENERAL),
                                   member(f->model, KLUERE_MEMBER_SPECIFIC)};
  all[2].subject_type = "PER";
  all[2].object_type = "ORG";
  SUCCEEDS(kluere_pipeline_options_init(&options, sizeof options));
  SUCCEEDS(kluere_predictor_options_init(&predictor, sizeof predictor));
#define MAKE(n) kluere_pipeline_create(all, sizeof all[0], n, &options, &predictor, &out)
  REFUSES(BAD, MAKE(3)); /* a binary member of a mean */
  options.kind = 7;
  REFUSES(BAD, MAKE(3));
  options.kind = KLUERE_PIPELINE_CASCADE;
  REFUSES(BAD, MAKE(0));
  REFUSES(BAD, MAKE((size_t)-1));
  REFUSES(BAD, MAKE(1));
  REFUSES(BAD, kluere_pipeline_create(NULL, sizeof all[0], 3, &options, NULL, &out));
  REFUSES(BAD, kluere_pipeline_create(all, sizeof all[0] - 1, 3, &options, NULL, &out));
  REFUSES(BAD, kluere_pipeline_create(all, sizeof all[0], 3, &options, NULL, NULL));
  REFUSES(HANDLE, kluere_pipeline_create((const kluere_pipeline_member[1]){{0}}, sizeof all[0], 1, &options, NULL, &out));
  const double thresholds[4] = {NAN, INFINITY, -0.5, 1.5};
  for (int i = 0; i < 4; i++) {
    options.threshold = thresholds[i];
    REFUSES(BAD, MAKE(3));
  }
  options.threshold = 0.5;
  options.rule = KLUERE_CASCADE_PRODUCT;
  REFUSES(BAD, MAKE(3));
  options.rule = 2;
  REFUSES(BAD, MAKE(3));
  options.rule = -1;
  options.vote = KLUERE_VOTE_HARD;
  REFUSES(BAD, MAKE(3));
  options.vote = -1;
  predictor.output = KLUERE_OUTPUT_LOGITS;
  REFUSES(BAD, MAKE(3));
  predictor.output = KLUERE_OUTPUT_PROBABILITIES;
  all[2].object_type = NULL;
  REFUSES(BAD, MAKE(3));
  all[2].object_type = "ORG";
  all[1].subject_type = "PER";
  REFUSES(BAD, MAKE(3));
  all[1].subject_type = NULL;
  all[0].role = 3;
  REFUSES(BAD, MAKE(3));
  all[0].role = KLUERE_MEMBER_BINARY;
  options.labels = two_labels;
  options.label_count = 2;
  REFUSES(BAD, MAKE(3));
  options.labels = NULL;
  options.label_count = 0;
  HOLDS(out == NULL);
  if (!SUCCEEDS(MAKE(3))) return;
  kluere_model_destroy(binary);

  float found[CELLS], pairs[2 * FIXTURE_ROWS], few[CELLS];
  kluere_predictor *alone = NULL;
  kluere_example row = fixture_row(0);
  kluere_pipeline_info info;
  REFUSES(HANDLE, kluere_pipeline_predict_dataset(NULL, f->train, found, CELLS));
  REFUSES(KLUERE_ERR_BUFFER_TOO_SMALL, kluere_pipeline_predict_dataset(out, f->train, found, CELLS - 1));
  REFUSES(BAD, kluere_pipeline_predict(out, NULL, sizeof row, 1, 0, few, CELLS));
  row.subject.end = 1000;
  REFUSES(BAD, kluere_pipeline_predict(out, &row, sizeof row, 1, 0, few, CELLS));
  row = fixture_row(0);
  SUCCEEDS(kluere_pipeline_predict_dataset(out, f->train, found, CELLS));
  SUCCEEDS(kluere_pipeline_predict(out, &row, sizeof row, 1, KLUERE_OFFSETS_BYTES, few, CELLS));
  HOLDS(memcmp(found, few, FIXTURE_LABELS * sizeof(float)) == 0);
  SUCCEEDS(kluere_pipeline_predict(out, NULL, sizeof row, 0, 0, NULL, 0));
  info.struct_size = sizeof info;
  SUCCEEDS(kluere_pipeline_describe(out, &info));
  HOLDS(info.threshold == 0.5 && info.vote == -1 && info.members == 3 && info.labels == FIXTURE_LABELS);
  HOLDS(kluere_pipeline_label_count(out) == FIXTURE_LABELS && kluere_pipeline_label(out, FIXTURE_LABELS) == NULL);
  /* What the members say, put together here. */
  if (SUCCEEDS(kluere_model_create(f->context, f->tokenizer, &config, two_labels, 2, &binary)) &&
      SUCCEEDS(kluere_predictor_create(binary, NULL, &alone))) {
    SUCCEEDS(kluere_predictor_predict_dataset(alone, f->train, pairs, 2 * FIXTURE_ROWS));
    for (int i = 0; i < FIXTURE_ROWS; i++) {
      float expected[FIXTURE_LABELS] = {pairs[2 * i], (float)((double)pairs[2 * i + 1] / (FIXTURE_LABELS - 1)), 0};
      expected[2] = expected[1];
      const float *line = pairs[2 * i] > 0.5f ? expected : f->before + FIXTURE_LABELS * i;
      HOLDS(memcmp(found + FIXTURE_LABELS * i, line, sizeof expected) == 0);
    }
  }
  kluere_predictor_destroy(alone);
  kluere_model_destroy(binary);
  saved(f, out, found);
  kluere_pipeline_destroy(out);
  REFUSES(HANDLE, kluere_pipeline_predict_dataset(out, f->train, found, CELLS));
  HOLDS(kluere_pipeline_label_count(out) == 0);
  kluere_pipeline_destroy(NULL);
}

void bad_pipelines(struct fixture *f) {
  selecting(f);
  folders(f);
  members(f);
}
