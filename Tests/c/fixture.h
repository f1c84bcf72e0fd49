/* A small world for the C tests: a vocabulary, rows and a model of a few thousand weights, all made here. */
#ifndef FIXTURE_H
#define FIXTURE_H
#include <kluere.h>

enum { FIXTURE_ROWS = 12, FIXTURE_LABELS = 3 };

struct fixture {
  const char *scratch; /* a folder */
  char vocabulary[4096];  /* path of vocab.txt */
  char model_folder[4096];
  kluere_context *context;
  kluere_tokenizer *tokenizer;
  kluere_dataset *train;
  kluere_dataset *hidden; /* the same rows without labels */
  kluere_model *model;
  kluere_predictor *predictor;
  float before[FIXTURE_ROWS * FIXTURE_LABELS]; /* predictions for train, made at the start */
};

extern const char *const fixture_labels[FIXTURE_LABELS];

/* Ends the program with a message if the library refuses anything of it. */
void fixture_make(struct fixture *fixture, const char *scratch);
void fixture_destroy(struct fixture *fixture);
/* Rows as kluere_example, in bytes; row i of FIXTURE_ROWS. */
kluere_example fixture_row(int index);
kluere_model_config fixture_config(void);
kluere_train_options fixture_train_options(void);
/* Checks that every handle still does what it did at the start, bit for bit. */
void fixture_still_works(struct fixture *fixture);

#endif
