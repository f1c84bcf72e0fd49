/* The calls that look at data and change it: what they say about the fixture's rows, and what they refuse. */
#include "bad_input.h"

#include <math.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, TOO_SMALL = KLUERE_ERR_BUFFER_TOO_SMALL, HANDLE = KLUERE_ERR_BAD_HANDLE };

/* The fixture's labels and no others. */
static kluere_dataset_options fixture_dataset_options(void) {
  kluere_dataset_options options;
  SUCCEEDS(kluere_dataset_options_init(&options, sizeof options));
  options.label_order = KLUERE_LABELS_CUSTOM;
  options.labels = fixture_labels;
  options.label_count = FIXTURE_LABELS;
  return options;
}

kluere_dataset *data_make(struct fixture *f, const kluere_example *rows, size_t count) {
  kluere_dataset_options options = fixture_dataset_options();
  kluere_dataset *dataset = NULL;
  SUCCEEDS(kluere_dataset_create(f->context, rows, sizeof rows[0], count, KLUERE_OFFSETS_BYTES, &options, &dataset));
  return dataset;
}

int text_says(const kluere_text *text, const char *part) {
  size_t length = 77;
  const char *json = kluere_text_get(text, &length);
  return json && strlen(json) == length && strstr(json, part) != NULL;
}

static void statistics(struct fixture *f) {
  kluere_text *text = NULL;
  int32_t lengths[FIXTURE_ROWS];
  size_t length = 77;
  memset(lengths, 0x55, sizeof lengths);
  SUCCEEDS(kluere_dataset_lengths(f->train, NULL, lengths, FIXTURE_ROWS));
  HOLDS(lengths[0] == 8 && lengths[FIXTURE_ROWS - 1] == 9);
  SUCCEEDS(kluere_dataset_lengths(f->train, f->tokenizer, lengths, FIXTURE_ROWS));
  HOLDS(lengths[0] == 7); /* [CLS] 가 ##는 나 ##의 대표 [SEP] */
  REFUSES(TOO_SMALL, kluere_dataset_lengths(f->train, NULL, lengths, FIXTURE_ROWS - 1));
  REFUSES(TOO_SMALL, kluere_dataset_lengths(f->train, NULL, NULL, 0));
  REFUSES(BAD, kluere_dataset_lengths(f->train, NULL, NULL, FIXTURE_ROWS));
  REFUSES(HANDLE, kluere_dataset_lengths(NULL, NULL, lengths, FIXTURE_ROWS));
  REFUSES(HANDLE, kluere_dataset_lengths(f->train, (kluere_tokenizer *)f->train, lengths, FIXTURE_ROWS));

  if (SUCCEEDS(kluere_dataset_statistics(f->train, f->tokenizer, &text))) {
    HOLDS(text_says(text, "\"rows\":12,\"labelled\":12,\"sentences\":12"));
    HOLDS(text_says(text, "\"label\":[[\"no_relation\",4],[\"org:top_members/employees\",4],[\"per:spouse\",4]]"));
    HOLDS(text_says(text, "\"type_pair\":[[\"PER-ORG\",12]],\"type_pair_without_no_relation\":[[\"PER-ORG\",8]]"));
    HOLDS(text_says(text, "\"label_types\":[[\"no_relation\",\"PER\",\"ORG\",4],"));
    HOLDS(text_says(text, "\"tokens\":{\"minimum\":"));
    HOLDS(kluere_text_get(text, NULL) != NULL);
  }
  kluere_text_destroy(text);
  text = NULL;
  if (SUCCEEDS(kluere_dataset_statistics(f->hidden, NULL, &text))) {
    HOLDS(text_says(text, "\"labelled\":0,") && text_says(text, "[null,12]") && !text_says(text, "\"tokens\""));
  }
  HOLDS(kluere_text_get((kluere_text *)f->train, &length) == NULL && kluere_text_get(NULL, &length) == NULL);
  HOLDS(length == 77);
  kluere_text_destroy(NULL);
  kluere_text_destroy((kluere_text *)f->train);
  kluere_text_destroy(text);
  text = NULL;
  REFUSES(BAD, kluere_dataset_statistics(f->train, NULL, NULL));
  REFUSES(HANDLE, kluere_dataset_statistics(NULL, NULL, &text));
  REFUSES(HANDLE, kluere_dataset_statistics(f->train, (kluere_tokenizer *)f->model, &text));
  HOLDS(text == NULL);
}

static void comparison(struct fixture *f) {
  kluere_text *text = NULL;
  kluere_dataset *other = NULL;
  size_t two[] = {0, 1};
  if (SUCCEEDS(kluere_dataset_compare(f->train, f->hidden, f->tokenizer, &text))) {
    HOLDS(text_says(text, "\"rows\":[12,12],\"divergence\":{\"label\":null,\"source\":0.0,"));
    HOLDS(text_says(text, "\"leakage\":{\"sentences\":12,\"first_rows\":12,\"second_rows\":12,\"same_label\":0,"
                     "\"other_label\":0,\"hidden_label\":12}"));
  }
  kluere_text_destroy(text);
  text = NULL;
  if (SUCCEEDS(kluere_dataset_subset(f->train, two, 2, &other)) &&
      SUCCEEDS(kluere_dataset_compare(f->train, other, NULL, &text)))
    HOLDS(text_says(text, "\"second_rows\":2,\"same_label\":2,\"other_label\":0"));
  kluere_text_destroy(text);
  kluere_dataset_destroy(other);
  text = NULL;
  REFUSES(BAD, kluere_dataset_compare(f->train, f->train, NULL, NULL));
  REFUSES(HANDLE, kluere_dataset_compare(f->train, NULL, NULL, &text));
  REFUSES(HANDLE, kluere_dataset_compare((kluere_dataset *)f->model, f->train, NULL, &text));
  HOLDS(text == NULL);
}

static void audit(struct fixture *f) {
  kluere_example rows[5] = {fixture_row(0), fixture_row(0), fixture_row(0), fixture_row(1), fixture_row(4)};
  kluere_dataset *dataset;
  kluere_audit *audit = NULL;
  kluere_audit_options options;
  kluere_finding finding;
  int kinds[KLUERE_FINDING_LEAKED_INPUT + 1] = {0};
  rows[2].label = fixture_labels[2]; /* of the same input: a conflict with rows 0 and 1 */
  rows[3].label = fixture_labels[1]; /* about an organisation, but its subject is a person */
  rows[3].id = "나";
  rows[3].id_length = KLUERE_NUL_TERMINATED;
  rows[4].subject.end = 10;                        /* around the object */
  rows[4].subject.begin = 6;                       /* begins with the blank before it */
  rows[4].label = NULL;
  rows[4].label_length = 0;
  dataset = data_make(f, rows, 5);
  memset(&finding, 0, sizeof finding);
  SUCCEEDS(kluere_audit_options_init(&options, sizeof options));
  HOLDS(options.rare_below == 3 && options.max_tokens == 256 && options.input_form == KLUERE_INPUT_TYPED_MARKER_PUNCT);
  options.max_tokens = 10;
  REFUSES(BAD, kluere_audit_get(NULL, 0, &finding));
  finding.struct_size = sizeof finding;
  REFUSES(HANDLE, kluere_audit_get(NULL, 0, &finding));
  if (SUCCEEDS(kluere_audit_create(dataset, f->hidden, f->tokenizer, &options, &audit))) {
    size_t count = kluere_audit_count(audit), last = 0;
    kluere_dataset_destroy(dataset); /* the audit keeps the ids alive */
    for (size_t i = 0; i < count; i++) {
      SUCCEEDS(kluere_audit_get(audit, i, &finding));
      HOLDS(finding.row < 5 && finding.row >= last && finding.message && finding.message[0]);
      last = finding.row;
      kinds[finding.kind]++;
      HOLDS((finding.id != NULL) == (finding.row == 3));
      if (finding.kind == KLUERE_FINDING_DUPLICATE)
        HOLDS(finding.row == 1 && finding.other_row == 0 && finding.action == KLUERE_ACTION_REMOVE_ROW);
      if (finding.kind == KLUERE_FINDING_LABEL_PREFIX)
        HOLDS(finding.row == 3 && finding.severity == KLUERE_SEVERITY_ERROR && strcmp(finding.id, "나") == 0);
      if (finding.kind == KLUERE_FINDING_OVERLAP) HOLDS(finding.row == 4 && finding.other_row == (size_t)-1);
    }
    HOLDS(kinds[KLUERE_FINDING_DUPLICATE] == 1 && kinds[KLUERE_FINDING_CONFLICT] == 3);
    HOLDS(kinds[KLUERE_FINDING_LABEL_PREFIX] == 1 && kinds[KLUERE_FINDING_OVERLAP] == 1);
    HOLDS(kinds[KLUERE_FINDING_BLANK_IN_SPAN] == 1 && kinds[KLUERE_FINDING_HIDDEN_LABEL] == 1);
    HOLDS(kinds[KLUERE_FINDING_TOO_LONG] == 5 && kinds[KLUERE_FINDING_RARE_TYPES] == 4);
    HOLDS(kinds[KLUERE_FINDING_LEAKED_INPUT] == 4 && kinds[KLUERE_FINDING_LEAKED_SENTENCE] == 1);
    REFUSES(BAD, kluere_audit_get(audit, count, &finding));
    REFUSES(BAD, kluere_audit_get(audit, (size_t)-1, &finding));
    REFUSES(BAD, kluere_audit_get(audit, 0, NULL));
  }
  kluere_audit_destroy(audit);
  kluere_audit_destroy(NULL);
  kluere_audit_destroy((kluere_audit *)f->train);
  HOLDS(kluere_audit_count(NULL) == 0 && kluere_audit_count((kluere_audit *)f->train) == 0);
  audit = NULL;
  options.input_form = 2;
  REFUSES(BAD, kluere_audit_create(f->train, NULL, NULL, &options, &audit));
  options.input_form = 0;
  options.max_tokens = 0;
  REFUSES(BAD, kluere_audit_create(f->train, NULL, NULL, &options, &audit));
  REFUSES(BAD, kluere_audit_create(f->train, NULL, NULL, NULL, NULL));
  REFUSES(HANDLE, kluere_audit_create(NULL, NULL, NULL, NULL, &audit));
  REFUSES(HANDLE, kluere_audit_create(f->train, (kluere_dataset *)f->model, NULL, NULL, &audit));
  HOLDS(audit == NULL);
}

static void cleaning(struct fixture *f) {
  static const char *const there[] = {"b"}, *const absent[] = {"b", "nobody"};
  kluere_example rows[4] = {fixture_row(0), fixture_row(0), fixture_row(0), fixture_row(1)};
  kluere_type_correction corrections[1] = {{"per:spouse", NULL, "ORG", KLUERE_ROLE_SUBJECT, 0}};
  kluere_dataset *dataset, *cleaned = NULL, *restored = NULL;
  kluere_text *log = NULL;
  kluere_clean_options options;
  kluere_example row;
  size_t length = 0;
  rows[2].label = fixture_labels[2];
  rows[3].id = "b";
  rows[3].id_length = 1;
  dataset = data_make(f, rows, 4);
  SUCCEEDS(kluere_clean_options_init(&options, sizeof options));
  HOLDS(options.remove_duplicates == 1 && options.conflicts == 0 && options.types == 0 && !options.remove_ids);
  if (SUCCEEDS(kluere_dataset_clean(dataset, NULL, &cleaned, NULL))) HOLDS(kluere_dataset_count(cleaned) == 3);
  kluere_dataset_destroy(cleaned);
  cleaned = NULL;
  options.conflicts = KLUERE_CONFLICTS_PREFER_RELATION;
  options.remove_ids = there;
  options.remove_id_count = 1;
  options.types = KLUERE_TYPES_LIST;
  options.corrections = corrections;
  options.correction_count = 1;
  if (SUCCEEDS(kluere_dataset_clean(dataset, &options, &cleaned, &log))) {
    HOLDS(kluere_dataset_count(cleaned) == 1);
    SUCCEEDS(kluere_dataset_get(cleaned, 0, 0, &row, sizeof row));
    HOLDS(strcmp(row.subject.type, "ORG") == 0 && strcmp(row.label, "per:spouse") == 0);
    HOLDS(text_says(log, "\"rows_before\":4,\"rows_after\":1") && text_says(log, "\"step\":\"conflicts\""));
    HOLDS(text_says(log, "\"row\":1,\"step\":\"duplicates\"") && text_says(log, "\"id\":\"b\",\"step\":\"list\""));
    HOLDS(text_says(log, "\"what\":\"subject_type\",\"from\":\"PER\",\"to\":\"ORG\""));
    const char *text = kluere_text_get(log, &length);
    if (SUCCEEDS(kluere_dataset_restore(cleaned, text, length, &restored))) {
      HOLDS(kluere_dataset_count(restored) == 4);
      SUCCEEDS(kluere_dataset_get(restored, 2, 0, &row, sizeof row));
      HOLDS(strcmp(row.subject.type, "PER") == 0);
      SUCCEEDS(kluere_dataset_get(restored, 3, 0, &row, sizeof row));
      HOLDS(strcmp(row.id, "b") == 0);
    }
    kluere_dataset_destroy(restored);
    restored = NULL;
    for (size_t cut = 0; cut < length; cut += 7) REFUSES(0, kluere_dataset_restore(cleaned, text, cut, &restored));
    REFUSES(0, kluere_dataset_restore(dataset, text, length, &restored));
    REFUSES(BAD, kluere_dataset_restore(cleaned, NULL, 0, &restored));
    REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_dataset_restore(cleaned, "\xFF", 1, &restored));
    REFUSES(HANDLE, kluere_dataset_restore(NULL, text, length, &restored));
    REFUSES(BAD, kluere_dataset_restore(cleaned, text, length, NULL));
  }
  kluere_dataset_destroy(cleaned);
  kluere_text_destroy(log);
  cleaned = NULL;
  log = NULL;
  options.remove_ids = absent;
  options.remove_id_count = 2;
  REFUSES(BAD, kluere_dataset_clean(dataset, &options, &cleaned, &log));
  options.remove_id_count = (size_t)1 << 62;
  REFUSES(BAD, kluere_dataset_clean(dataset, &options, &cleaned, &log));
  options.remove_ids = NULL;
  REFUSES(BAD, kluere_dataset_clean(dataset, &options, &cleaned, &log));
  options.remove_id_count = 0;
  corrections[0].to = "";
  REFUSES(BAD, kluere_dataset_clean(dataset, &options, &cleaned, &log));
  corrections[0].to = "ORG";
  corrections[0].label = NULL;
  REFUSES(BAD, kluere_dataset_clean(dataset, &options, &cleaned, &log));
  corrections[0].label = "per:spouse";
  corrections[0].role = 2;
  REFUSES(BAD, kluere_dataset_clean(dataset, &options, &cleaned, &log));
  options.corrections = NULL;
  REFUSES(BAD, kluere_dataset_clean(dataset, &options, &cleaned, &log));
  options.correction_count = 0;
  SUCCEEDS(kluere_dataset_clean(dataset, &options, &cleaned, NULL)); /* the team's map */
  kluere_dataset_destroy(cleaned);
  cleaned = NULL;
  const int32_t rules[] = {-1, 5};
  for (int i = 0; i < 2; i++) {
    options.conflicts = rules[i];
    REFUSES(BAD, kluere_dataset_clean(dataset, &options, &cleaned, &log));
  }
  options.conflicts = 0;
  options.types = 3;
  REFUSES(BAD, kluere_dataset_clean(dataset, &options, &cleaned, &log));
  options.types = KLUERE_TYPES_MAJORITY;
  const double shares[] = {0.5, -1, 1.5, NAN, INFINITY};
  for (int i = 0; i < 5; i++) {
    options.majority_share = shares[i];
    REFUSES(BAD, kluere_dataset_clean(dataset, &options, &cleaned, &log));
  }
  options.types = 0;
  options.remove_duplicates = 2;
  REFUSES(BAD, kluere_dataset_clean(dataset, &options, &cleaned, &log));
  REFUSES(BAD, kluere_dataset_clean(dataset, NULL, NULL, &log));
  REFUSES(HANDLE, kluere_dataset_clean((kluere_dataset *)f->model, NULL, &cleaned, &log));
  HOLDS(!cleaned && !log && !restored);
  kluere_dataset_destroy(dataset);
}

static void writing(struct fixture *f) {
  const char *names[] = {"", "w.json", "w.csv", "w.jsonl", "flat.csv"};
  kluere_dataset_options options = fixture_dataset_options();
  for (int32_t format = 1; format <= KLUERE_FORMAT_FLAT_CSV; format++) {
    const char *path = path_in(f->scratch, names[format]);
    kluere_dataset *again = NULL;
    SUCCEEDS(kluere_dataset_write(f->train, path, format));
    if (SUCCEEDS(kluere_dataset_read(f->context, path, &options, &again))) {
      kluere_text *text = NULL;
      SUCCEEDS(kluere_dataset_compare(f->train, again, NULL, &text));
      HOLDS(text_says(text, "\"same_label\":12"));
      kluere_text_destroy(text);
    }
    kluere_dataset_destroy(again);
    if (format < KLUERE_FORMAT_FLAT_CSV) SUCCEEDS(kluere_dataset_write(f->hidden, path, KLUERE_FORMAT_AUTO));
  }
  const char *path = path_in(f->scratch, "w.json");
  REFUSES(BAD, kluere_dataset_write(f->train, path_in(f->scratch, "w.txt"), KLUERE_FORMAT_AUTO));
  REFUSES(BAD, kluere_dataset_write(f->train, path, 5));
  REFUSES(BAD, kluere_dataset_write(f->train, path, -1));
  REFUSES(BAD, kluere_dataset_write(f->train, NULL, 1));
  REFUSES(BAD, kluere_dataset_write(f->train, "", 1));
  REFUSES(KLUERE_ERR_IO, kluere_dataset_write(f->train, path_in(f->scratch, "nowhere/w.json"), 1));
  REFUSES(HANDLE, kluere_dataset_write(NULL, path, 1));
}

static void splits(struct fixture *f) {
  kluere_split_options options;
  kluere_dataset *first = NULL, *second = NULL;
  int32_t folds[FIXTURE_ROWS], sizes[3] = {0};
  double shares[FIXTURE_LABELS] = {0, 1, 0};
  SUCCEEDS(kluere_split_options_init(&options, sizeof options));
  HOLDS(options.stratify == (KLUERE_STRATIFY_LABEL | KLUERE_STRATIFY_TYPES) && options.second_fraction == 0.1);
  if (SUCCEEDS(kluere_dataset_folds(f->train, 3, &options, folds, FIXTURE_ROWS))) {
    for (int i = 0; i < FIXTURE_ROWS; i++) sizes[folds[i]]++;
    HOLDS(sizes[0] == 4 && sizes[1] == 4 && sizes[2] == 4);
  }
  options.second_fraction = 0.25;
  options.label_shares = shares;
  options.label_share_count = FIXTURE_LABELS;
  if (SUCCEEDS(kluere_dataset_split_stratified(f->train, &options, &first, &second))) {
    int32_t labels[3] = {-1, -1, -1};
    HOLDS(kluere_dataset_count(first) == 9 && kluere_dataset_count(second) == 3);
    SUCCEEDS(kluere_dataset_label_indices(second, labels, 3));
    HOLDS(labels[0] == 1 && labels[1] == 1 && labels[2] == 1);
  }
  kluere_dataset_destroy(first);
  kluere_dataset_destroy(second);
  first = second = NULL;
  options.second_fraction = 0.5; /* six rows of a label that has four */
  REFUSES(BAD, kluere_dataset_split_stratified(f->train, &options, &first, &second));
  options.label_share_count = 2;
  REFUSES(BAD, kluere_dataset_split_stratified(f->train, &options, &first, &second));
  options.label_share_count = (size_t)1 << 62;
  REFUSES(BAD, kluere_dataset_split_stratified(f->train, &options, &first, &second));
  options.label_share_count = FIXTURE_LABELS;
  const double bad[] = {-1, NAN, INFINITY};
  for (int i = 0; i < 3; i++) {
    shares[0] = bad[i];
    REFUSES(BAD, kluere_dataset_split_stratified(f->train, &options, &first, &second));
  }
  options.label_shares = NULL;
  REFUSES(BAD, kluere_dataset_split_stratified(f->train, &options, &first, &second));
  options.label_share_count = 0;
  const double fractions[] = {0, 1, -0.5, NAN, INFINITY};
  for (int i = 0; i < 5; i++) {
    options.second_fraction = fractions[i];
    REFUSES(BAD, kluere_dataset_split_stratified(f->train, &options, &first, &second));
  }
  options.stratify = 4;
  REFUSES(BAD, kluere_dataset_folds(f->train, 3, &options, folds, FIXTURE_ROWS));
  REFUSES(BAD, kluere_dataset_split_stratified(f->train, NULL, NULL, &second));
  REFUSES(BAD, kluere_dataset_split_stratified(f->train, NULL, &first, NULL));
  REFUSES(HANDLE, kluere_dataset_split_stratified(NULL, NULL, &first, &second));
  const uint32_t counts[] = {0, 1, FIXTURE_ROWS + 1, 101, UINT32_MAX};
  for (int i = 0; i < 5; i++) REFUSES(BAD, kluere_dataset_folds(f->train, counts[i], NULL, folds, FIXTURE_ROWS));
  REFUSES(TOO_SMALL, kluere_dataset_folds(f->train, 3, NULL, folds, FIXTURE_ROWS - 1));
  REFUSES(BAD, kluere_dataset_folds(f->train, 3, NULL, NULL, FIXTURE_ROWS));
  REFUSES(HANDLE, kluere_dataset_folds(NULL, 3, NULL, folds, FIXTURE_ROWS));
  HOLDS(!first && !second);
}

/* As https://arrow.apache.org/docs/format/CDataInterface.html has them. */
struct ArrowSchema {
  const char *format, *name, *metadata;
  int64_t flags, n_children;
  struct ArrowSchema **children, *dictionary;
  void (*release)(struct ArrowSchema *);
  void *private_data;
};
struct ArrowArray {
  int64_t length, null_count, offset, n_buffers, n_children;
  const void **buffers;
  struct ArrowArray **children, *dictionary;
  void (*release)(struct ArrowArray *);
  void *private_data;
};

static void columns(struct fixture *f) {
  kluere_example row = fixture_row(0);
  kluere_dataset *dataset = data_make(f, &row, 1);
  struct ArrowSchema schema;
  struct ArrowArray array, moved;
  memset(&schema, 0, sizeof schema);
  memset(&array, 0, sizeof array);
  if (SUCCEEDS(kluere_dataset_export_arrow(dataset, &schema, &array))) {
    kluere_dataset_destroy(dataset);
    dataset = NULL;
    HOLDS(strcmp(schema.format, "+s") == 0 && schema.n_children == 13 && array.n_children == 13 && array.length == 1);
    HOLDS(strcmp(schema.children[4]->name, "subject_word") == 0 && strcmp(schema.children[4]->format, "u") == 0);
    HOLDS(strcmp(schema.children[5]->format, "l") == 0 && array.children[0]->null_count == 1);
    HOLDS(strncmp(array.children[4]->buffers[2], "가", 3) == 0 && ((const int32_t *)array.children[4]->buffers[1])[1] == 3);
    HOLDS(((const int64_t *)array.children[9]->buffers[1])[0] == 3); /* object_start_idx, in code points */
    moved = *array.children[4]; /* a column may go another way than its table */
    array.children[4]->release = NULL;
    array.release(&array);
    HOLDS(array.release == NULL && strncmp(moved.buffers[2], "가", 3) == 0);
    moved.release(&moved);
    schema.release(&schema);
    HOLDS(schema.release == NULL);
  }
  kluere_dataset_destroy(dataset);
  REFUSES(BAD, kluere_dataset_export_arrow(f->train, NULL, &array));
  REFUSES(BAD, kluere_dataset_export_arrow(f->train, &schema, NULL));
  REFUSES(HANDLE, kluere_dataset_export_arrow(NULL, &schema, &array));
  HOLDS(schema.release == NULL && array.release == NULL);
}

void bad_data_work(struct fixture *fixture) {
  statistics(fixture);
  comparison(fixture);
  audit(fixture);
  cleaning(fixture);
  writing(fixture);
  splits(fixture);
  columns(fixture);
}
