/* Model folders of which one file is missing, cut, bent, or of another model; and weight files that lie about
 * themselves. */
#include "bad_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct file {
  const char *name;
  const char *text;
};

/* Fields of config.json of the fixture's model, and what stands there instead. */
static const struct file config_fields[] = {
    {"\"model_type\": \"roberta\"", "\"model_type\": \"gpt2\""},
    {"\"model_type\": \"roberta\"", "\"model_type\": 5"},
    {"\"model_type\": \"roberta\"", "\"other\": 5"},
    {"\"model_type\": \"roberta\"", "\"model_type\": \"bert\""},
    {"\"hidden_size\": 16", "\"hidden_size\": 0"},
    {"\"hidden_size\": 16", "\"hidden_size\": -16"},
    {"\"hidden_size\": 16", "\"hidden_size\": 17"},
    {"\"hidden_size\": 16", "\"hidden_size\": 32"},
    {"\"hidden_size\": 16", "\"hidden_size\": 16.5"},
    {"\"hidden_size\": 16", "\"hidden_size\": \"16\""},
    {"\"hidden_size\": 16", "\"hidden_size\": 9223372036854775807"},
    {"\"hidden_size\": 16", "\"hidden_size\": 1e30"},
    {"\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2"},
    {"\"num_hidden_layers\": 1", "\"num_hidden_layers\": 0"},
    {"\"num_hidden_layers\": 1", "\"num_hidden_layers\": 1024"},
    {"\"num_attention_heads\": 2", "\"num_attention_heads\": 0"},
    {"\"num_attention_heads\": 2", "\"num_attention_heads\": 5"},
    {"\"intermediate_size\": 32", "\"intermediate_size\": 33"},
    {"\"intermediate_size\": 32", "\"intermediate_size\": 4294967296"},
    {"\"max_position_embeddings\": 33", "\"max_position_embeddings\": 34"},
    {"\"max_position_embeddings\": 33", "\"max_position_embeddings\": 0"},
    {"\"max_position_embeddings\": 33", "\"max_position_embeddings\": -1"},
    {"\"max_position_embeddings\": 33", "\"max_position_embeddings\": -9223372036854775808"},
    {"\"vocab_size\": ", "\"vocab_size\": 1"},
    {"\"vocab_size\": ", "\"vocab_size\": 99"},
    {"\"vocab_size\": ", "\"vocab_size\": -"},
    {"\"pad_token_id\": 0", "\"pad_token_id\": -1"},
    {"\"pad_token_id\": 0", "\"pad_token_id\": 1000"},
    {"\"pad_token_id\": 0", "\"pad_token_id\": null"},
    {"\"hidden_act\": \"gelu\"", "\"hidden_act\": \"silu\""},
    {"\"hidden_dropout_prob\": 0.1", "\"hidden_dropout_prob\": 1.5"},
    {"\"hidden_dropout_prob\": 0.1", "\"hidden_dropout_prob\": \"x\""},
    {"\"attention_probs_dropout_prob\": 0.1", "\"attention_probs_dropout_prob\": -1"},
    {"\"layer_norm_eps\": 1e-05", "\"layer_norm_eps\": 0"},
    {"\"layer_norm_eps\": 1e-05", "\"layer_norm_eps\": 1e999"},
    {"\"position_embedding_type\": \"absolute\"", "\"position_embedding_type\": \"relative_key\""},
    {"\"type_vocab_size\": 1", "\"type_vocab_size\": 0"},
    {"\"type_vocab_size\": 1", "\"type_vocab_size\": 3"},
    {"\"problem_type\": \"single_label_classification\"", "\"problem_type\": \"regression\""},
};

static const struct file kluere_fields[] = {
    {"\"format_version\": 1", "\"format_version\": 2"},
    {"\"format_version\": 1", "\"format_version\": \"1\""},
    {"\"format_version\": 1", "\"other\": 1"},
    {"\"input_form\": \"typed_entity_marker_punct\"", "\"input_form\": \"other\""},
    {"\"input_form\": \"typed_entity_marker_punct\"", "\"input_form\": 3"},
    {"\"max_tokens\": 32", "\"max_tokens\": 33"},
    {"\"max_tokens\": 32", "\"max_tokens\": 0"},
    {"\"max_tokens\": 32", "\"max_tokens\": -5"},
    {"\"max_tokens\": 32", "\"max_tokens\": 1e400"},
    {"\"no_relation\"", "\"per:spouse\""},
    {"\"no_relation\"", "5"},
    {"\"no_relation\",", ""},
};

static const struct file documents[] = {
    {"empty", ""}, {"a bracket", "{"}, {"null", "null"}, {"a list", "[]"}, {"no keys", "{}"}, {"words", "hello"},
    {"not UTF-8", "{\"a\": \"\xFF\"}"}, {"zeros", "0000"}, {"trailing", "{} {}"},
};

static void refused(struct fixture *f, const char *folder, const char *what) {
  kluere_model *model = NULL;
  REFUSES_CASE(what, 0, kluere_model_open(f->context, folder, NULL, &model));
  HOLDS(model == NULL);
  kluere_model_destroy(model);
}

/* text with the first `from` replaced; malloc'ed, NULL if it is not there. */
static char *replaced(const char *text, const char *from, const char *to) {
  const char *place = strstr(text, from);
  if (!place) return NULL;
  char *result = malloc(strlen(text) + strlen(to) + 1);
  if (result) sprintf(result, "%.*s%s%s", (int)(place - text), text, to, place + strlen(from));
  return result;
}

static void fields(struct fixture *f, const char *folder, const char *name, const struct file *changes, size_t count) {
  size_t size;
  char *text = read_bytes(path_in(folder, name), &size);
  for (size_t i = 0; i < count; i++) {
    char *changed = replaced(text, changes[i].name, changes[i].text);
    if (!HOLDS(changed != NULL)) fprintf(stderr, "%s has no %s\n", name, changes[i].name);
    if (!changed) continue;
    write_text(path_in(folder, name), changed);
    refused(f, folder, changes[i].text);
    free(changed);
  }
  for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
    write_text(path_in(folder, name), documents[i].text);
    refused(f, folder, documents[i].name);
  }
  write_bytes(path_in(folder, name), text, size);
  free(text);
}

/* Each file in turn is missing, empty, cut at several places. */
static void missing_and_cut(struct fixture *f, const char *folder) {
  static const char *const needed[] = {"config.json", "kluere.json", "model.safetensors", "vocab.txt",
                                       "tokenizer_config.json", "special_tokens_map.json"};
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
    size_t size;
    const char *name = needed[i];
    char *bytes = read_bytes(path_in(folder, name), &size);
    kluere_model *model = NULL;
    unlink(path_in(folder, name));
    if (i == 0 || i == 2 || i == 3) {
      refused(f, folder, name);
    } else {
      SURVIVES(name, kluere_model_open(f->context, folder, NULL, &model)); /* Hugging Face folders lack these */
      kluere_model_destroy(model);
    }
    for (size_t part = 0; part < 8; part++) {
      write_bytes(path_in(folder, name), bytes, size * part / 8);
      if (strcmp(name, "vocab.txt") == 0) {
        model = NULL;
        SURVIVES(name, kluere_model_open(f->context, folder, NULL, &model));
        kluere_model_destroy(model);
      } else {
        refused(f, folder, name);
      }
    }
    write_bytes(path_in(folder, name), bytes, size);
    free(bytes);
  }
}

/* A weight file of a header (JSON) and some bytes. length: what the first 8 bytes say; (size_t)-1: the truth. */
static void write_weights(const char *path, const char *header, size_t length, size_t data) {
  size_t header_size = strlen(header);
  unsigned char *bytes = calloc(1, 8 + header_size + data + 1);
  if (!bytes) return;
  if (length == (size_t)-1) length = header_size;
  for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)((uint64_t)length >> 8 * i);
  memcpy(bytes + 8, header, header_size);
  write_bytes(path, bytes, 8 + header_size + data);
  free(bytes);
}

static void weight_headers(struct fixture *f, const char *folder) {
#define TENSOR(dtype, shape, begin, end) \
  "{\"x\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}}"
  static const struct {
    const char *name;
    const char *header;
    uint64_t length;
    size_t data;
  } files[] = {
      {"header length 0", "", 0, 0},
      {"header longer than the file", "{}", 1000, 0},
      {"header length 2^63", "{}", (uint64_t)1 << 63, 0},
      {"header length 2^64 - 1", "{}", UINT64_MAX - 1, 0},
      {"header length 2^64 - 8", "{}", UINT64_MAX - 7, 0},
      {"no JSON", "hello", UINT64_MAX, 0},
      {"a list", "[]", UINT64_MAX, 0},
      {"no tensors", "{}", UINT64_MAX, 0},
      {"data without tensors", "{}", UINT64_MAX, 64},
      {"tensor is a number", "{\"x\":5}", UINT64_MAX, 0},
      {"tensor without keys", "{\"x\":{}}", UINT64_MAX, 0},
      {"unknown type", TENSOR("F7", "1", "0", "4"), UINT64_MAX, 4},
      {"shape is negative", TENSOR("F32", "-1", "0", "4"), UINT64_MAX, 4},
      {"shape has a fraction", TENSOR("F32", "1.5", "0", "4"), UINT64_MAX, 4},
      {"shape is text", TENSOR("F32", "\"1\"", "0", "4"), UINT64_MAX, 4},
      {"shape is nested", TENSOR("F32", "[1]", "0", "4"), UINT64_MAX, 4},
      {"shape product overflows", TENSOR("F32", "4294967296,4294967296", "0", "0"), UINT64_MAX, 0},
      {"shape product overflows to the right size", TENSOR("F32", "9223372036854775807,2,2", "0", "4"), UINT64_MAX, 4},
      {"shape times 4 overflows", TENSOR("F32", "4611686018427387905", "0", "4"), UINT64_MAX, 4},
      {"offsets backwards", TENSOR("F32", "1", "4", "0"), UINT64_MAX, 4},
      {"offsets past the end", TENSOR("F32", "2", "0", "8"), UINT64_MAX, 4},
      {"offsets not the shape's", TENSOR("F32", "1", "0", "8"), UINT64_MAX, 8},
      {"offset negative", TENSOR("F32", "1", "-4", "0"), UINT64_MAX, 4},
      {"offset 2^64", TENSOR("F32", "1", "0", "18446744073709551616"), UINT64_MAX, 4},
      {"a hole before the first", TENSOR("F32", "1", "4", "8"), UINT64_MAX, 8},
      {"bytes after the last", TENSOR("F32", "1", "0", "4"), UINT64_MAX, 8},
      {"two tensors in one place",
       "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
       "\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", UINT64_MAX, 4},
      {"offsets with three entries", "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", UINT64_MAX, 4},
      {"metadata is a list", "{\"__metadata__\":[]}", UINT64_MAX, 0},
      {"header cut inside a string", "{\"x", UINT64_MAX, 0},
      {"other tensors", TENSOR("F32", "1", "0", "4"), UINT64_MAX, 4},
  };
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    size_t length = files[i].length == UINT64_MAX ? (size_t)-1 : (size_t)files[i].length;
    write_weights(path_in(folder, "model.safetensors"), files[i].header, length, files[i].data);
    refused(f, folder, files[i].name);
  }
  write_bytes(path_in(folder, "model.safetensors"), "\1\2\3", 3);
  refused(f, folder, "three bytes");
}

/* Single bits of the header and of the length before it; of the weights themselves any value is one. */
static void flipped_weights(struct fixture *f, const char *folder) {
  size_t size, end;
  const char *path = path_in(folder, "model.safetensors");
  char *bytes = read_bytes(path, &size);
  char kept_path[4096];
  snprintf(kept_path, sizeof kept_path, "%s", path);
  end = 8 + (unsigned char)bytes[0] + 256u * (unsigned char)bytes[1];
  for (size_t i = 0; i < end && i < size; i += i < 8 ? 1 : 7) {
    kluere_model *model = NULL;
    char kept = bytes[i];
    bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
    write_bytes(kept_path, bytes, size);
    SURVIVES("flipped bit", kluere_model_open(f->context, folder, NULL, &model));
    kluere_model_destroy(model);
    bytes[i] = kept;
  }
  free(bytes);
}

/* New tokens lengthen the table of words; what is no token is refused. */
static void added_tokens(struct fixture *f) {
  const char *const good[] = {"[E1]", "[/E1]", "[E1]"}, *const empty[] = {"[E1]", ""}, *const null[] = {"[E1]", NULL};
  const char *const broken[] = {"\xff"};
  kluere_model_open_options options;
  kluere_model *plain = NULL, *grown = NULL;
  kluere_tensor_info before, after;
  SUCCEEDS(kluere_model_open_options_init(&options, sizeof options));
  options.added_special_token_count = 2;
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_model_open(f->context, f->model_folder, &options, &grown));
  options.added_special_tokens = empty;
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_model_open(f->context, f->model_folder, &options, &grown));
  options.added_special_tokens = null;
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_model_open(f->context, f->model_folder, &options, &grown));
  options.added_special_tokens = broken;
  options.added_special_token_count = 1;
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_model_open(f->context, f->model_folder, &options, &grown));
  options.added_special_tokens = good;
  options.added_special_token_count = (size_t)1 << 62;
  REFUSES(0, kluere_model_open(f->context, f->model_folder, &options, &grown));
  options.added_special_token_count = 3;
  SUCCEEDS(kluere_model_open(f->context, f->model_folder, NULL, &plain));
  SUCCEEDS(kluere_model_open(f->context, f->model_folder, &options, &grown));
  before.struct_size = after.struct_size = sizeof before;
  SUCCEEDS(kluere_model_tensor_describe(plain, 0, &before));
  SUCCEEDS(kluere_model_tensor_describe(grown, 0, &after));
  HOLDS(after.shape[0] == before.shape[0] + 2 && after.shape[1] == before.shape[1] && after.flags == before.flags);
  kluere_model_destroy(plain);
  kluere_model_destroy(grown);
}

void bad_model_files(struct fixture *f) {
  char folder[4096];
  kluere_model *model = NULL;
  kluere_model_open_options options;
  snprintf(folder, sizeof folder, "%s/bent", f->scratch);
  remove_folder(folder);
  copy_folder(f->model_folder, folder);
  fields(f, folder, "config.json", config_fields, sizeof config_fields / sizeof config_fields[0]);
  fields(f, folder, "kluere.json", kluere_fields, sizeof kluere_fields / sizeof kluere_fields[0]);
  missing_and_cut(f, folder);
  SUCCEEDS(kluere_model_open(f->context, folder, NULL, &model));
  kluere_model_destroy(model);
  flipped_weights(f, folder);
  weight_headers(f, folder);
  remove_folder(folder);

  model = NULL;
  REFUSES(KLUERE_ERR_IO, kluere_model_open(f->context, path_in(f->scratch, "absent"), NULL, &model));
  REFUSES(KLUERE_ERR_IO, kluere_model_open(f->context, f->vocabulary, NULL, &model));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_model_open(f->context, NULL, NULL, &model));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_model_open(f->context, "", NULL, &model));
  SUCCEEDS(kluere_model_open_options_init(&options, sizeof options));
  const int32_t forms[] = {2, -2, INT32_MAX};
  for (int i = 0; i < 3; i++) {
    options.input_form = forms[i];
    REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_model_open(f->context, f->model_folder, &options, &model));
  }
  options.input_form = -1;
  options.max_tokens = 33;
  REFUSES(0, kluere_model_open(f->context, f->model_folder, &options, &model));
  options.max_tokens = 0xFFFFFFFFu;
  REFUSES(0, kluere_model_open(f->context, f->model_folder, &options, &model));
  options.max_tokens = 0;
  options.read_into_memory = 2;
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_model_open(f->context, f->model_folder, &options, &model));
  options.read_into_memory = 0;
  options.labels = fixture_labels; /* two labels for a head of three */
  options.label_count = 2;
  REFUSES(0, kluere_model_open(f->context, f->model_folder, &options, &model));
  HOLDS(model == NULL);
  added_tokens(f);
}
