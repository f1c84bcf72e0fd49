/* The calls that look at data and change it: what they say about the fixture's rows, and what they refuse. */
#include "bad_input.h"

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

static kluere_dataset *make(struct fixture *f, const kluere_example *rows, size_t count) {
  kluere_dataset_options options = fixture_dataset_options();
  kluere_dataset *dataset = NULL;
  SUCCEEDS(kluere_dataset_create(f->context, rows, sizeof rows[0], count, KLUERE_OFFSETS_BYTES, &options, &dataset));
  return dataset;
}

static int says(const kluere_text *text, const char *part) {
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
    HOLDS(says(text, "\"rows\":12,\"labelled\":12,\"sentences\":12"));
    HOLDS(says(text, "\"label\":[[\"no_relation\",4],[\"org:top_members/employees\",4],[\"per:spouse\",4]]"));
    HOLDS(says(text, "\"type_pair\":[[\"PER-ORG\",12]],\"type_pair_without_no_relation\":[[\"PER-ORG\",8]]"));
    HOLDS(says(text, "\"label_types\":[[\"no_relation\",\"PER\",\"ORG\",4],"));
    HOLDS(says(text, "\"tokens\":{\"minimum\":"));
    HOLDS(kluere_text_get(text, NULL) != NULL);
  }
  kluere_text_destroy(text);
  text = NULL;
  if (SUCCEEDS(kluere_dataset_statistics(f->hidden, NULL, &text))) {
    HOLDS(says(text, "\"labelled\":0,") && says(text, "[null,12]") && !says(text, "\"tokens\""));
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
    HOLDS(says(text, "\"rows\":[12,12],\"divergence\":{\"label\":null,\"source\":0.0,"));
    HOLDS(says(text, "\"leakage\":{\"sentences\":12,\"first_rows\":12,\"second_rows\":12,\"same_label\":0,"
                     "\"other_label\":0,\"hidden_label\":12}"));
  }
  kluere_text_destroy(text);
  text = NULL;
  if (SUCCEEDS(kluere_dataset_subset(f->train, two, 2, &other)) &&
      SUCCEEDS(kluere_dataset_compare(f->train, other, NULL, &text)))
    HOLDS(says(text, "\"second_rows\":2,\"same_label\":2,\"other_label\":0"));
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
  dataset = make(f, rows, 5);
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

void bad_data_work(struct fixture *fixture) {
  statistics(fixture);
  comparison(fixture);
  audit(fixture);
}
