/* Weights in fewer bits: forms that are none, models that cannot, options that contradict each other. */
#include "bad_input.h"

#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, HANDLE = KLUERE_ERR_BAD_HANDLE, STATE = KLUERE_ERR_STATE };
enum { UNSUPPORTED = KLUERE_ERR_UNSUPPORTED, CELLS = FIXTURE_ROWS * FIXTURE_LABELS };

static void predicts(kluere_model *model, const kluere_dataset *rows, int32_t weights, float *out) {
  kluere_predictor_options options;
  kluere_predictor *predictor = NULL;
  SUCCEEDS(kluere_predictor_options_init(&options, sizeof options));
  options.weights = weights;
  if (!SUCCEEDS(kluere_predictor_create(model, &options, &predictor))) return;
  SUCCEEDS(kluere_predictor_predict_dataset(predictor, rows, out, CELLS));
  kluere_predictor_destroy(predictor);
}

static void int8_model(struct fixture *f, kluere_model *small, int32_t form) {
  kluere_model *out = NULL;
  kluere_predictor *predictor = NULL;
  kluere_trainer *trainer = NULL;
  kluere_predictor_options options;
  kluere_model_open_options open;
  kluere_train_options train = fixture_train_options();
  float whole[CELLS], opened[CELLS], widened[CELLS];
  REFUSES(STATE, kluere_model_quantize(small, KLUERE_WEIGHTS_INT8, &out));
  REFUSES(UNSUPPORTED, kluere_trainer_create(small, f->train, NULL, &train, &trainer));
  SUCCEEDS(kluere_predictor_options_init(&options, sizeof options));
  options.weights = KLUERE_WEIGHTS_FLOAT16;
  REFUSES(UNSUPPORTED, kluere_predictor_create(small, &options, &predictor));
  options.weights = KLUERE_WEIGHTS_INT8_REDUCED;
  REFUSES(UNSUPPORTED, kluere_predictor_create(small, &options, &predictor));
  const char *folder = path_in(f->scratch, "int8");
  remove_folder(folder);
  SUCCEEDS(kluere_model_save(small, folder));
  SUCCEEDS(kluere_model_open_options_init(&open, sizeof open));
  open.head = KLUERE_HEAD_R_BERT;
  REFUSES(UNSUPPORTED, kluere_model_open(f->context, folder, &open, &out));
  open.head = -1;
  open.task = KLUERE_TASK_MASKED_LM;
  REFUSES(UNSUPPORTED, kluere_model_open(f->context, folder, &open, &out));
  HOLDS(out == NULL && predictor == NULL && trainer == NULL);
  if (!SUCCEEDS(kluere_model_open(f->context, folder, NULL, &out))) return;
  predicts(small, f->train, KLUERE_WEIGHTS_AUTO, whole);
  predicts(out, f->train, KLUERE_WEIGHTS_AUTO, opened);
  HOLDS(memcmp(whole, opened, sizeof whole) == 0);
  predicts(f->model, f->train, form, opened);
  HOLDS(memcmp(whole, opened, sizeof whole) == 0);
  predicts(out, f->train, KLUERE_WEIGHTS_FLOAT32, widened);
  predicts(f->model, f->train, KLUERE_WEIGHTS_FLOAT32, opened);
  HOLDS(memcmp(widened, opened, sizeof widened) != 0);
  HOLDS(memcmp(f->before, opened, sizeof opened) == 0);
  kluere_model_destroy(out);
  remove_folder(folder);
}

void bad_quantization(struct fixture *f) {
  kluere_model *out = NULL;
  kluere_predictor *predictor = NULL;
  kluere_predictor_options options;
  kluere_quantization_report report;
  const int32_t forms[5] = {KLUERE_WEIGHTS_AUTO, KLUERE_WEIGHTS_FLOAT32, 6, -1, INT32_MAX};
  for (int i = 0; i < 5; i++) REFUSES(BAD, kluere_model_quantize(f->model, forms[i], &out));
  REFUSES(BAD, kluere_model_quantize(f->model, KLUERE_WEIGHTS_INT8, NULL));
  REFUSES(HANDLE, kluere_model_quantize(NULL, KLUERE_WEIGHTS_INT8, &out));
  SUCCEEDS(kluere_predictor_options_init(&options, sizeof options));
  HOLDS(options.weights == KLUERE_WEIGHTS_AUTO && options.threads == 0);
  for (int i = 2; i < 5; i++) {
    options.weights = forms[i];
    REFUSES(BAD, kluere_predictor_create(f->model, &options, &predictor));
  }
  memset(&report, 0, sizeof report);
  report.struct_size = sizeof report;
  REFUSES(HANDLE, kluere_quantization_measure(NULL, f->model, f->train, &report));
  REFUSES(HANDLE, kluere_quantization_measure(f->model, NULL, f->train, &report));
  REFUSES(HANDLE, kluere_quantization_measure(f->model, f->model, NULL, &report));
  REFUSES(BAD, kluere_quantization_measure(f->model, f->model, f->train, NULL));
  REFUSES(BAD, kluere_quantization_measure(f->model, f->model, f->hidden, &report));
  HOLDS(out == NULL && predictor == NULL);
  SUCCEEDS(kluere_quantization_measure(f->model, f->model, f->train, &report));
  HOLDS(report.rows == FIXTURE_ROWS && report.equal_answers == 1 && report.largest_difference == 0);
  HOLDS(report.weights == KLUERE_WEIGHTS_FLOAT32 && report.bytes == report.quantized_bytes);
  for (int32_t form = KLUERE_WEIGHTS_BFLOAT16; form <= KLUERE_WEIGHTS_INT8_REDUCED; form++) {
    if (!SUCCEEDS(kluere_model_quantize(f->model, form, &out))) return;
    SUCCEEDS(kluere_quantization_measure(f->model, out, f->train, &report));
    HOLDS(report.weights == (form == KLUERE_WEIGHTS_INT8_REDUCED ? KLUERE_WEIGHTS_INT8 : form));
    HOLDS(report.quantized_bytes < report.bytes);
    HOLDS(report.mean_difference > 0 && report.mean_difference < 0.05);
    if (form >= KLUERE_WEIGHTS_INT8) int8_model(f, out, form);
    kluere_model_destroy(out);
  }
}
