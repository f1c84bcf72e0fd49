/* The parts of bad_input.c: each takes one kind of bad input through the library. */
#ifndef BAD_INPUT_H
#define BAD_INPUT_H
#include "check.h"
#include "fixture.h"

void bad_structs(struct fixture *fixture);
void bad_handles(struct fixture *fixture);
void bad_texts(struct fixture *fixture);
void bad_rows(struct fixture *fixture);
void bad_encoder(struct fixture *fixture);
void bad_types(struct fixture *fixture);
void bad_shapes(struct fixture *fixture);
void bad_templates(struct fixture *fixture);
void bad_heads(struct fixture *fixture);
void bad_arguments(struct fixture *fixture);
void bad_evaluation(struct fixture *fixture);
void bad_decoding(struct fixture *fixture);
void bad_quantization(struct fixture *fixture);
void bad_pipelines(struct fixture *fixture);
void bad_queues(struct fixture *fixture);
void bad_training(struct fixture *fixture);
void bad_pretraining(struct fixture *fixture);
void bad_recipes(struct fixture *fixture);
void bad_losses(struct fixture *fixture);
void bad_data_work(struct fixture *fixture);
void bad_augmentation(struct fixture *fixture);
/* A dataset of these rows with the fixture's labels. */
kluere_dataset *data_make(struct fixture *fixture, const kluere_example *rows, size_t count);
/* Whether the text has this part in it. */
int text_says(const kluere_text *text, const char *part);
void bad_data_files(struct fixture *fixture);
void bad_tokenizer_files(struct fixture *fixture);
void bad_model_files(struct fixture *fixture);
void bad_checkpoints(struct fixture *fixture);
/* Every file of the folder, cut short and with single bits turned over, as data and as vocabulary. */
void bad_samples(struct fixture *fixture, const char *folder);
void bad_disk(struct fixture *fixture);

#endif
