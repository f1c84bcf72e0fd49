/* Malformed calls and files. Each must give a status below 0 and a message of one line; afterwards every handle still
 * works and nothing on disk is lost.
 *
 *   bad_input SCRATCH_FOLDER [FOLDER_WITH_SAMPLE_DATA]
 */
#include "bad_input.h"

#include <stdio.h>

int main(int argc, char **argv) {
  struct fixture fixture;
  if (argc < 2) {
    fprintf(stderr, "usage: %s SCRATCH_FOLDER [FOLDER_WITH_SAMPLE_DATA]\n", argv[0]);
    return 2;
  }
  fixture_make(&fixture, argv[1]);
  bad_structs(&fixture);
  bad_handles(&fixture);
  bad_texts(&fixture);
  bad_rows(&fixture);
  bad_encoder(&fixture);
  bad_types(&fixture);
  bad_shapes(&fixture);
  bad_templates(&fixture);
  bad_heads(&fixture);
  bad_arguments(&fixture);
  bad_evaluation(&fixture);
  bad_decoding(&fixture);
  bad_quantization(&fixture);
  bad_pipelines(&fixture);
  bad_queues(&fixture);
  bad_training(&fixture);
  bad_pretraining(&fixture);
  bad_recipes(&fixture);
  bad_losses(&fixture);
  bad_data_work(&fixture);
  bad_augmentation(&fixture);
  fixture_still_works(&fixture);
  bad_data_files(&fixture);
  bad_tokenizer_files(&fixture);
  bad_model_files(&fixture);
  bad_checkpoints(&fixture);
  if (argc > 2) bad_samples(&fixture, argv[2]);
  bad_disk(&fixture);
  fixture_still_works(&fixture);
  fixture_destroy(&fixture);
  return check_finish();
}
