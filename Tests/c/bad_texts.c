/* Invalid UTF-8, offsets that are none, lengths that are none. */
#include "bad_input.h"

#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, NOT_UTF8 = KLUERE_ERR_INVALID_UTF8 };

struct bytes {
  const char *name;
  const char *bytes;
  size_t size;
};
#define BYTES(name, literal) {name, literal, sizeof(literal) - 1}

static const struct bytes invalid[] = {
    BYTES("lone continuation", "a\x80" "b"),
    BYTES("cut two-byte character", "\xC2"),
    BYTES("cut three-byte character", "\xEA\xB0"),
    BYTES("cut four-byte character", "\xF0\x9F\x98"),
    BYTES("overlong slash, two bytes", "\xC0\xAF"),
    BYTES("overlong NUL", "\xC0\x80"),
    BYTES("overlong, three bytes", "\xE0\x80\xAF"),
    BYTES("overlong, four bytes", "\xF0\x80\x80\xAF"),
    BYTES("first surrogate", "\xED\xA0\x80"),
    BYTES("last surrogate", "\xED\xBF\xBF"),
    BYTES("surrogate pair", "\xED\xA0\xBD\xED\xB8\x80"),
    BYTES("past U+10FFFF", "\xF4\x90\x80\x80"),
    BYTES("five-byte form", "\xF8\x88\x80\x80\x80"),
    BYTES("FE", "\xFE"),
    BYTES("FF", "a\xFF"),
    BYTES("Latin-1", "caf\xE9 au lait"),
    BYTES("EUC-KR", "\xB0\xA1\xB3\xAA"),
};
enum { INVALID_COUNT = sizeof invalid / sizeof invalid[0] };

static void encodings(struct fixture *f) {
  for (int i = 0; i < INVALID_COUNT; i++) {
    const char *name = invalid[i].name, *text = invalid[i].bytes;
    size_t size = invalid[i].size, out = 77, count = 77;
    kluere_token tokens[8];
    kluere_example row = fixture_row(0);
    float scores[FIXTURE_LABELS];
    kluere_dataset *dataset = NULL;
    REFUSES_CASE(name, NOT_UTF8, kluere_offset_convert(text, size, 0, 0, 1, &out));
    REFUSES_CASE(name, NOT_UTF8, kluere_tokenizer_encode(f->tokenizer, text, size, NULL, 0, NULL, tokens, 8, &count));
    REFUSES_CASE(name, NOT_UTF8, kluere_tokenizer_encode(f->tokenizer, "a", 1, text, size, NULL, tokens, 8, &count));
    size_t splits[2] = {77, 77};
    int32_t ids[8];
    REFUSES_CASE(name, NOT_UTF8, kluere_tokenizer_encode_batch(f->context, f->tokenizer, &text, &size, NULL, NULL, 1, NULL,
                                                               ids, NULL, NULL, 8, splits));
    HOLDS(splits[0] == 77);
    row.text = text;
    row.text_length = size;
    REFUSES_CASE(name, NOT_UTF8, kluere_predictor_predict(f->predictor, &row, sizeof row, 1, 0, scores, 3));
    row = fixture_row(0);
    row.subject.type = text;
    row.subject.type_length = size;
    REFUSES_CASE(name, NOT_UTF8, kluere_predictor_predict(f->predictor, &row, sizeof row, 1, 0, scores, 3));
    row = fixture_row(0);
    row.label = text;
    row.label_length = size;
    REFUSES_CASE(name, NOT_UTF8, kluere_dataset_create(f->context, &row, sizeof row, 1, 0, NULL, &dataset));
    HOLDS(out == 77 && count == 77 && dataset == NULL);
    HOLDS(kluere_tokenizer_id(f->tokenizer, text) == -1);
  }
  kluere_model *model = NULL;
  REFUSES(NOT_UTF8, kluere_model_open(f->context, "\xFF", NULL, &model));
  REFUSES(NOT_UTF8, kluere_model_save(f->model, "/tmp/\xED\xA0\x80"));
}

static void offsets(void) {
  /* "a가😀b": bytes 0 1 4 8 9, code points 0 1 2 3 4, UTF-16 0 1 2 4 5. */
  static const char text[] = "a\xEA\xB0\x80\xF0\x9F\x98\x80" "b";
  static const size_t inside_bytes[] = {2, 3, 5, 6, 7}, past_bytes[] = {10, 11, 1000, (size_t)1 << 40, (size_t)-1,
                                                                       (size_t)-2, (size_t)1 << 63};
  size_t out = 77;
  for (int unit = 0; unit < 3; unit++) {
    for (size_t i = 0; i < sizeof inside_bytes / sizeof inside_bytes[0]; i++)
      REFUSES(BAD, kluere_offset_convert(text, 9, inside_bytes[i], 0, unit, &out));
    for (size_t i = 0; i < sizeof past_bytes / sizeof past_bytes[0]; i++)
      REFUSES(BAD, kluere_offset_convert(text, 9, past_bytes[i], unit, 0, &out));
    REFUSES(BAD, kluere_offset_convert(text, 9, 3, 2, unit, &out)); /* between the halves of a pair */
  }
  REFUSES(BAD, kluere_offset_convert(text, 9, 5, 1, 0, &out));
  REFUSES(BAD, kluere_offset_convert(text, 9, 6, 2, 0, &out));
  REFUSES(BAD, kluere_offset_convert(NULL, 9, 0, 0, 0, &out));
  REFUSES(BAD, kluere_offset_convert(NULL, 0, 0, 0, 0, &out));
  REFUSES(BAD, kluere_offset_convert(text, 9, 0, 0, 0, NULL));
  REFUSES(BAD, kluere_offset_convert(text, 9, 0, 3, 0, &out));
  REFUSES(BAD, kluere_offset_convert(text, 9, 0, 0, -1, &out));
  REFUSES(BAD, kluere_offset_convert(text, 9, 0, INT32_MAX, INT32_MIN, &out));
  REFUSES(BAD, kluere_offset_convert(text, (size_t)-2, 0, 0, 0, &out));
  REFUSES(BAD, kluere_offset_convert(text, (size_t)1 << 63, 0, 0, 0, &out));
  HOLDS(out == 77);
  SUCCEEDS(kluere_offset_convert(text, 9, 9, 0, 2, &out));
  HOLDS(out == 5);
  SUCCEEDS(kluere_offset_convert(text, KLUERE_NUL_TERMINATED, 4, 2, 1, &out));
  HOLDS(out == 3);
  SUCCEEDS(kluere_offset_convert("", 0, 0, 0, 1, &out));
  HOLDS(out == 0);
}

static void last_error(void) {
  char small[4] = "xxx";
  size_t out;
  REFUSES(BAD, kluere_offset_convert("\xEA\xB0\x80", 3, 1, 0, 0, &out));
  size_t needed = kluere_last_error(NULL, 0);
  HOLDS(needed > 10);
  HOLDS(kluere_last_error(small, 0) == needed && strcmp(small, "xxx") == 0);
  HOLDS(kluere_last_error(small, 1) == needed && small[0] == 0);
  HOLDS(kluere_last_error(small, 4) == needed && strlen(small) == 3);
  HOLDS(kluere_last_error(NULL, 100) == needed);
  HOLDS(strcmp(kluere_status_name(KLUERE_ERR_NOT_FINITE), "KLUERE_ERR_NOT_FINITE") == 0);
  HOLDS(kluere_status_name(12345) != NULL && kluere_status_name(INT32_MIN) != NULL);
  /* A path longer than the slot: the message is cut between code points. */
  char path[4000], message[1024];
  for (size_t i = 0; i + 3 < sizeof path; i += 3) memcpy(path + i, "\xEA\xB0\x80", 3);
  path[3999] = 0;
  kluere_context *context = NULL;
  kluere_dataset *dataset = NULL;
  SUCCEEDS(kluere_context_create(NULL, &context));
  REFUSES(KLUERE_ERR_IO, kluere_dataset_read(context, path, NULL, &dataset));
  HOLDS(kluere_last_error(message, sizeof message) <= 1024);
  HOLDS(kluere_offset_convert(message, KLUERE_NUL_TERMINATED, 0, 0, 1, &out) == KLUERE_OK);
  kluere_context_destroy(context);
}

void bad_texts(struct fixture *fixture) {
  encodings(fixture);
  offsets();
  last_error();
}
