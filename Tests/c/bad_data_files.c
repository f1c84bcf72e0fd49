/* Data files of every format that are cut, bent or not what they say. */
#include "bad_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct file {
  const char *name;
  const char *text;
};

#define ENTITY(b, e) "{\"word\": \"가\", \"start_idx\": " b ", \"end_idx\": " e ", \"type\": \"PER\"}"
#define ROW(sentence, subject, object, label)                                                         \
  "{\"guid\": \"g\", \"sentence\": " sentence ", \"subject_entity\": " subject ", \"object_entity\": " object \
  ", \"label\": " label ", \"source\": \"s\"}"
#define NA "{\"word\": \"나\", \"start_idx\": 3, \"end_idx\": 3, \"type\": \"PER\"}"
#define GOOD ROW("\"가는 나\"", ENTITY("0", "0"), NA, "\"no_relation\"")

static const struct file json_files[] = {
    {"only a bracket", "["},
    {"not closed", "[" GOOD},
    {"no comma", "[" GOOD " " GOOD "]"},
    {"comma at the end", "[" GOOD ",]"},
    {"text after the end", "[" GOOD "] x"},
    {"two documents", "[" GOOD "][" GOOD "]"},
    {"no array", "42"},
    {"null", "null"},
    {"an array of numbers", "[1, 2, 3]"},
    {"an array of arrays", "[[]]"},
    {"row without anything", "[{}]"},
    {"NaN", "[NaN]"},
    {"single quotes", "[{'guid': 'g'}]"},
    {"sentence is a number", "[" ROW("5", ENTITY("0", "0"), NA, "\"no_relation\"") "]"},
    {"sentence is null", "[" ROW("null", ENTITY("0", "0"), NA, "\"no_relation\"") "]"},
    {"empty sentence", "[" ROW("\"\"", ENTITY("0", "0"), NA, "\"no_relation\"") "]"},
    {"subject is a string", "[" ROW("\"가는 나\"", "\"가\"", NA, "\"no_relation\"") "]"},
    {"subject is null", "[" ROW("\"가는 나\"", "null", NA, "\"no_relation\"") "]"},
    {"subject without keys", "[" ROW("\"가는 나\"", "{}", NA, "\"no_relation\"") "]"},
    {"begin after the end", "[" ROW("\"가는 나\"", ENTITY("1", "0"), NA, "\"no_relation\"") "]"},
    {"span past the sentence", "[" ROW("\"가는 나\"", ENTITY("0", "99"), NA, "\"no_relation\"") "]"},
    {"negative begin", "[" ROW("\"가는 나\"", ENTITY("-1", "0"), NA, "\"no_relation\"") "]"},
    {"begin with a fraction", "[" ROW("\"가는 나\"", ENTITY("0.5", "0"), NA, "\"no_relation\"") "]"},
    {"begin is a string", "[" ROW("\"가는 나\"", ENTITY("\"0\"", "0"), NA, "\"no_relation\"") "]"},
    {"end is 2^63 - 1", "[" ROW("\"가는 나\"", ENTITY("0", "9223372036854775807"), NA, "\"no_relation\"") "]"},
    {"end is 2^64", "[" ROW("\"가는 나\"", ENTITY("0", "18446744073709551616"), NA, "\"no_relation\"") "]"},
    {"end is 1e999", "[" ROW("\"가는 나\"", ENTITY("0", "1e999"), NA, "\"no_relation\"") "]"},
    {"word is not the span", "[" ROW("\"나는 나\"", ENTITY("0", "0"), NA, "\"no_relation\"") "]"},
    {"unknown label", "[" ROW("\"가는 나\"", ENTITY("0", "0"), NA, "\"of:nobody\"") "]"},
    {"label is a number", "[" ROW("\"가는 나\"", ENTITY("0", "0"), NA, "7") "]"},
    {"lone surrogate", "[" ROW("\"가는 나\\ud800\"", ENTITY("0", "0"), NA, "\"no_relation\"") "]"},
    {"bad escape", "[" ROW("\"가는 나\\x\"", ENTITY("0", "0"), NA, "\"no_relation\"") "]"},
    {"cut escape", "[{\"guid\": \"\\u12"},
    {"control character in a string", "[{\"guid\": \"a\nb\"}]"},
    {"invalid UTF-8", "[" ROW("\"\xFF\"", ENTITY("0", "0"), NA, "\"no_relation\"") "]"},
    {"UTF-16", "\xFF\xFE[\x01"},
    {"leading zero", "[01]"},
    {"bare minus", "[-]"},
    {"words", "hello"},
    {"empty", ""},
    {"only spaces", "  \n "},
};

#define CELL "\"{'word': '가', 'start_idx': 0, 'end_idx': 0, 'type': 'PER'}\""
#define CELL_NA "\"{'word': '나', 'start_idx': 3, 'end_idx': 3, 'type': 'PER'}\""
#define HEAD "id,sentence,subject_entity,object_entity,label,source\n"

static const struct file csv_files[] = {
    {"empty", ""},
    {"only a header", HEAD},
    {"other header", "a,b,c\n1,2,3\n"},
    {"header with a column twice", "id,id,sentence,subject_entity,object_entity,label,source\n"},
    {"too few cells", HEAD "0,가는 나\n"},
    {"too many cells", HEAD "0,가는 나," CELL "," CELL_NA ",no_relation,s,more\n"},
    {"quote not closed", HEAD "0,\"가는 나," CELL "," CELL_NA ",no_relation,s\n"},
    {"text after a quote", HEAD "0,\"가는\" 나," CELL "," CELL_NA ",no_relation,s\n"},
    {"entity is no dict", HEAD "0,가는 나,가," CELL_NA ",no_relation,s\n"},
    {"entity is a list", HEAD "0,가는 나,[1]," CELL_NA ",no_relation,s\n"},
    {"entity dict not closed", HEAD "0,가는 나,{'word': '가'," CELL_NA ",no_relation,s\n"},
    {"entity calls a function", HEAD "0,가는 나,__import__('os')," CELL_NA ",no_relation,s\n"},
    {"entity without type", HEAD "0,가는 나,\"{'word': '가', 'start_idx': 0, 'end_idx': 0}\"," CELL_NA ",no_relation,s\n"},
    {"entity of other types", HEAD "0,가는 나,\"{'word': 1, 'start_idx': '0', 'end_idx': 0, 'type': 'PER'}\"," CELL_NA
                                   ",no_relation,s\n"},
    {"span past the sentence", HEAD "0,가는 나,\"{'word': '가', 'start_idx': 0, 'end_idx': 9, 'type': 'PER'}\"," CELL_NA
                                    ",no_relation,s\n"},
    {"word is not the span", HEAD "0,다는 나," CELL "," CELL_NA ",no_relation,s\n"},
    {"unknown label", HEAD "0,가는 나," CELL "," CELL_NA ",of:nobody,s\n"},
    {"empty sentence", HEAD "0,," CELL "," CELL_NA ",no_relation,s\n"},
    {"invalid UTF-8", HEAD "0,\xFF," CELL "," CELL_NA ",no_relation,s\n"},
    {"huge integer", HEAD "0,가는 나,\"{'word': '가', 'start_idx': 99999999999999999999999, 'end_idx': 0, 'type': 'PER'}\","
                          CELL_NA ",no_relation,s\n"},
};

static const struct file line_files[] = {
    {"empty", ""},
    {"only newlines", "\n\n\n"},
    {"an array", "[" GOOD "]\n"},
    {"two on a line", GOOD GOOD "\n"},
    {"second line cut", GOOD "\n{\"guid\": \n"},
    {"second line is a number", GOOD "\n5\n"},
    {"no sentence", "{\"id\": \"1\"}\n"},
    {"span past the sentence", ROW("\"가는 나\"", ENTITY("0", "99"), NA, "\"x\"") "\n"},
    {"invalid UTF-8", ROW("\"\xC0\x80\"", ENTITY("0", "0"), NA, "\"x\"") "\n"},
};

static void each(struct fixture *f, const struct file *files, size_t count, int32_t format, const char *path) {
  for (size_t i = 0; i < count; i++) {
    kluere_dataset *dataset = NULL;
    kluere_dataset_options options;
    SUCCEEDS(kluere_dataset_options_init(&options, sizeof options));
    options.format = format;
    if (format == KLUERE_FORMAT_JSON_LINES) options.label_order = KLUERE_LABELS_CUSTOM;
    write_text(path, files[i].text);
    REFUSES_CASE(files[i].name, 0, kluere_dataset_read(f->context, path, &options, &dataset));
    HOLDS(dataset == NULL);
    options.format = KLUERE_FORMAT_AUTO;
    if (format != KLUERE_FORMAT_JSON_LINES)
      REFUSES_CASE(files[i].name, 0, kluere_dataset_read(f->context, path, &options, &dataset));
    /* Skipping bad rows must not turn a broken file into an empty data set without a word. */
    options.format = format;
    options.bad_rows = KLUERE_BAD_ROWS_SKIP;
    dataset = NULL;
    SURVIVES(files[i].name, kluere_dataset_read(f->context, path, &options, &dataset));
    if (dataset) HOLDS(kluere_dataset_skipped_count(dataset) > 0 && kluere_dataset_skipped_reason(dataset, 0) != NULL);
    kluere_dataset_destroy(dataset);
  }
}

/* Every prefix of a good file (steps of one byte), and every byte of it changed in one bit. */
static void cut_and_flip(struct fixture *f, const char *text, int32_t format, const char *path) {
  size_t size = strlen(text);
  char *copy = malloc(size + 1);
  kluere_dataset_options options;
  kluere_dataset *dataset = NULL;
  if (!copy || !SUCCEEDS(kluere_dataset_options_init(&options, sizeof options))) return;
  options.format = format;
  write_text(path, text);
  SUCCEEDS(kluere_dataset_read(f->context, path, &options, &dataset));
  HOLDS(kluere_dataset_count(dataset) == 1);
  kluere_dataset_destroy(dataset);
  for (size_t i = 0; i < size; i++) {
    dataset = NULL;
    write_bytes(path, text, i);
    SURVIVES("cut file", kluere_dataset_read(f->context, path, &options, &dataset));
    kluere_dataset_destroy(dataset);
    memcpy(copy, text, size);
    copy[i] = (char)(copy[i] ^ (1 << i % 8));
    dataset = NULL;
    write_bytes(path, copy, size);
    SURVIVES("flipped bit", kluere_dataset_read(f->context, path, &options, &dataset));
    kluere_dataset_destroy(dataset);
  }
  free(copy);
}

/* Nesting that would overflow the stack of a careless parser. */
static void deep(struct fixture *f, const char *path) {
  enum { DEPTH = 1000000 };
  char *text = malloc(2 * DEPTH + 200);
  kluere_dataset *dataset = NULL;
  kluere_dataset_options options;
  if (!text || !SUCCEEDS(kluere_dataset_options_init(&options, sizeof options))) return;
  memset(text, '[', DEPTH);
  write_bytes(path, text, DEPTH);
  REFUSES(0, kluere_dataset_read(f->context, path, NULL, &dataset));
  memset(text + DEPTH, ']', DEPTH);
  write_bytes(path, text, 2 * DEPTH);
  REFUSES(0, kluere_dataset_read(f->context, path, NULL, &dataset));
  for (int i = 0; i < DEPTH / 5; i++) memcpy(text + 5 * i, "{\"\":\n", 5);
  write_bytes(path, text, DEPTH);
  REFUSES(0, kluere_dataset_read(f->context, path, NULL, &dataset));
  size_t used = (size_t)sprintf(text, HEAD "0,가는 나,");
  memset(text + used, '[', DEPTH);
  used += DEPTH;
  used += (size_t)sprintf(text + used, "," CELL_NA ",no_relation,s\n");
  write_bytes(path, text, used);
  options.format = KLUERE_FORMAT_COMPETITION_CSV;
  REFUSES(0, kluere_dataset_read(f->context, path, &options, &dataset));
  HOLDS(dataset == NULL);
  free(text);
}

static void no_files(struct fixture *f) {
  kluere_dataset *dataset = NULL;
  kluere_tokenizer *tokenizer = NULL;
  const char *pipe = path_in(f->scratch, "pipe");
  REFUSES(KLUERE_ERR_IO, kluere_dataset_read(f->context, path_in(f->scratch, "absent.json"), NULL, &dataset));
  REFUSES(KLUERE_ERR_IO, kluere_dataset_read(f->context, f->scratch, NULL, &dataset));
  REFUSES(KLUERE_ERR_IO, kluere_dataset_read(f->context, "/dev/null", NULL, &dataset));
  REFUSES(KLUERE_ERR_IO, kluere_dataset_read(f->context, "/dev/zero", NULL, &dataset));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_dataset_read(f->context, NULL, NULL, &dataset));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_dataset_read(f->context, "", NULL, &dataset));
  if (mkfifo(pipe, 0666) == 0) {
    REFUSES(KLUERE_ERR_IO, kluere_dataset_read(f->context, pipe, NULL, &dataset));
    REFUSES(KLUERE_ERR_IO, kluere_tokenizer_open(f->context, pipe, NULL, &tokenizer));
    remove(pipe);
  }
  HOLDS(dataset == NULL && tokenizer == NULL);
}

void bad_data_files(struct fixture *f) {
  char path[4096];
  snprintf(path, sizeof path, "%s/data", f->scratch);
  each(f, json_files, sizeof json_files / sizeof json_files[0], KLUERE_FORMAT_KLUE_JSON, path);
  each(f, csv_files, sizeof csv_files / sizeof csv_files[0], KLUERE_FORMAT_COMPETITION_CSV, path);
  each(f, line_files, sizeof line_files / sizeof line_files[0], KLUERE_FORMAT_JSON_LINES, path);
  cut_and_flip(f, "[" GOOD "]", KLUERE_FORMAT_KLUE_JSON, path);
  cut_and_flip(f, GOOD "\n", KLUERE_FORMAT_JSON_LINES, path);
  cut_and_flip(f, HEAD "0,가는 나," CELL "," CELL_NA ",no_relation,s\n", KLUERE_FORMAT_COMPETITION_CSV, path);
  deep(f, path);
  no_files(f);
  remove(path);
}

void bad_samples(struct fixture *f, const char *folder) {
  size_t count;
  char **names = list_files(folder, &count), path[4096];
  snprintf(path, sizeof path, "%s/sample", f->scratch);
  for (size_t i = 0; i < count; i++) {
    size_t size;
    char *bytes = read_bytes(path_in(folder, names[i]), &size);
    for (int round = 0; round < 24 && size > 0; round++) {
      kluere_dataset *dataset = NULL;
      kluere_tokenizer *tokenizer = NULL;
      size_t place = (size_t)round * size / 24;
      bytes[place] = (char)(bytes[place] ^ (1 << round % 8));
      write_bytes(path, bytes, round % 2 ? size : size - place);
      SURVIVES(names[i], kluere_dataset_read(f->context, path, NULL, &dataset));
      SURVIVES(names[i], kluere_tokenizer_open(f->context, path, NULL, &tokenizer));
      kluere_dataset_destroy(dataset);
      kluere_tokenizer_destroy(tokenizer);
    }
    free(bytes);
  }
  free_list(names, count);
  remove(path);
}
