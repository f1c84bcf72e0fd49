/* Vocabularies and the JSON files beside them. */
#include "bad_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file {
  const char *name;
  const char *text;
};

static const struct file vocabularies[] = {
    {"empty", ""},
    {"one newline", "\n"},
    {"without [UNK]", "[PAD]\n[CLS]\n[SEP]\n[MASK]\na\n"},
    {"invalid UTF-8", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n\xFF\n"},
    {"a surrogate", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n\xED\xA0\x80\n"},
    {"JSON", "{\"[UNK]\": 0}"},
    {"words", "hello world"},
};

static const struct file configurations[] = {
    {"not closed", "{\"do_lower_case\": false"},
    {"an array", "[]"},
    {"a number", "5"},
    {"empty", ""},
    {"do_lower_case is a string", "{\"do_lower_case\": \"no\"}"},
    {"do_lower_case is a number", "{\"do_lower_case\": 1}"},
    {"strip_accents is a list", "{\"strip_accents\": []}"},
    {"tokenize_chinese_chars is null", "{\"tokenize_chinese_chars\": \"\"}"},
    {"model_max_length is a string", "{\"model_max_length\": \"512\"}"},
    {"unk_token is a number", "{\"unk_token\": 1}"},
    {"unk_token is not in the vocabulary", "{\"unk_token\": \"[NOTHING]\"}"},
    {"pad_token is a list", "{\"pad_token\": [\"[PAD]\"]}"},
    {"sep_token is an object without content", "{\"sep_token\": {\"lstrip\": false}}"},
    {"tokenizer_class of another kind", "{\"tokenizer_class\": \"T5Tokenizer\"}"},
    {"tokenizer_class is a number", "{\"tokenizer_class\": 3}"},
    {"no basic tokenizer", "{\"do_basic_tokenize\": false}"},
    {"added_tokens_decoder is a list", "{\"added_tokens_decoder\": []}"},
    {"added token without an id", "{\"added_tokens_decoder\": {\"x\": {\"content\": \"[X]\"}}}"},
    {"added token with a negative id", "{\"added_tokens_decoder\": {\"-4\": {\"content\": \"[X]\"}}}"},
    {"added token with a huge id", "{\"added_tokens_decoder\": {\"99999999999\": {\"content\": \"[X]\"}}}"},
    {"added token far from the others", "{\"added_tokens_decoder\": {\"2000000000\": {\"content\": \"[X]\"}}}"},
    {"added token that is a number", "{\"added_tokens_decoder\": {\"40\": 5}}"},
    {"added token without content", "{\"added_tokens_decoder\": {\"40\": {}}}"},
    {"added token with other content than the vocabulary", "{\"added_tokens_decoder\": {\"5\": {\"content\": \"[X]\"}}}"},
    {"lone surrogate", "{\"unk_token\": \"\\udc00\"}"},
    {"invalid UTF-8", "{\"unk_token\": \"\xFE\"}"},
    {"nested too deep",
     "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
     "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["},
};

static const struct file added_tokens[] = {
    {"not closed", "{\"[X]\": 40"},
    {"a list", "[\"[X]\"]"},
    {"id is a string", "{\"[X]\": \"40\"}"},
    {"id has a fraction", "{\"[X]\": 40.5}"},
    {"id is negative", "{\"[X]\": -1}"},
    {"id is huge", "{\"[X]\": 1e30}"},
    {"id far from the others", "{\"[X]\": 2147483647}"},
    {"empty name", "{\"\": 40}"},
};

static const struct file special_tokens[] = {
    {"not closed", "{"},
    {"a list", "[]"},
    {"unk_token is a number", "{\"unk_token\": 7}"},
    {"unk_token not in the vocabulary", "{\"unk_token\": \"[NOTHING]\"}"},
    {"invalid UTF-8", "{\"unk_token\": \"\xC0\x80\"}"},
};

static void each(struct fixture *f, const char *folder, const char *name, const struct file *files, size_t count) {
  for (size_t i = 0; i < count; i++) {
    kluere_tokenizer *tokenizer = NULL;
    write_text(path_in(folder, name), files[i].text);
    REFUSES_CASE(files[i].name, 0, kluere_tokenizer_open(f->context, folder, NULL, &tokenizer));
    HOLDS(tokenizer == NULL);
    kluere_tokenizer_destroy(tokenizer);
  }
  remove(path_in(folder, name));
}

/* A vocabulary with any byte changed either loads or is refused; what loads takes any text. */
static void flips(struct fixture *f, const char *path) {
  size_t size;
  char *bytes = read_bytes(f->vocabulary, &size);
  for (size_t i = 0; i < size; i += 3) {
    kluere_tokenizer *tokenizer = NULL;
    kluere_token tokens[32];
    size_t count;
    char kept = bytes[i];
    bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
    write_bytes(path, bytes, size);
    SURVIVES("flipped bit", kluere_tokenizer_open(f->context, path, NULL, &tokenizer));
    if (tokenizer) SUCCEEDS(kluere_tokenizer_encode(tokenizer, "가는 나의 a", 15, NULL, 0, NULL, tokens, 32, &count));
    kluere_tokenizer_destroy(tokenizer);
    bytes[i] = kept;
    tokenizer = NULL;
    write_bytes(path, bytes, i);
    SURVIVES("cut file", kluere_tokenizer_open(f->context, path, NULL, &tokenizer));
    kluere_tokenizer_destroy(tokenizer);
  }
  free(bytes);
  remove(path);
}

void bad_tokenizer_files(struct fixture *f) {
  char folder[4096], file[4096];
  kluere_tokenizer *tokenizer = NULL;
  snprintf(folder, sizeof folder, "%s/tokenizer", f->scratch);
  snprintf(file, sizeof file, "%s/flipped.txt", f->scratch);
  remove_folder(folder);
  make_folder(folder);
  REFUSES(KLUERE_ERR_IO, kluere_tokenizer_open(f->context, folder, NULL, &tokenizer)); /* an empty folder */
  each(f, folder, "vocab.txt", vocabularies, sizeof vocabularies / sizeof vocabularies[0]);
  size_t size;
  char *bytes = read_bytes(f->vocabulary, &size);
  write_bytes(path_in(folder, "vocab.txt"), bytes, size);
  free(bytes);
  each(f, folder, "tokenizer_config.json", configurations, sizeof configurations / sizeof configurations[0]);
  each(f, folder, "added_tokens.json", added_tokens, sizeof added_tokens / sizeof added_tokens[0]);
  each(f, folder, "special_tokens_map.json", special_tokens, sizeof special_tokens / sizeof special_tokens[0]);
  SUCCEEDS(kluere_tokenizer_open(f->context, folder, NULL, &tokenizer));
  kluere_tokenizer_destroy(tokenizer);
  flips(f, file);
  tokenizer = NULL;
  REFUSES(KLUERE_ERR_IO, kluere_tokenizer_open(f->context, path_in(folder, "absent"), NULL, &tokenizer));
  REFUSES(KLUERE_ERR_IO, kluere_tokenizer_open(f->context, "/dev/zero", NULL, &tokenizer));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_tokenizer_open(f->context, NULL, NULL, &tokenizer));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_tokenizer_open(f->context, "", NULL, &tokenizer));
  HOLDS(tokenizer == NULL);
  remove_folder(folder);
}
