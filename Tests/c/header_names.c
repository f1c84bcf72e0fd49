/* The header alone, as C99 to C17 and C++11 read it: the layout that compiled programs rely on (64-bit), the values of
 * the statuses, and one reference to every function, so that linking finds a function that the library lacks.
 * Compiled by the Makefile as C and as C++; it runs as an empty test. */
#include <kluere.h>
#include <stdio.h>

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define STATIC_CHECK(condition) typedef char JOIN(check_, __LINE__)[(condition) ? 1 : -1]
#define SIZE(type, bytes) STATIC_CHECK(sizeof(type) == (bytes))
#define FIELD(type, field, place) STATIC_CHECK(offsetof(type, field) == (place))
#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Wunused-local-typedefs"
#endif

SIZE(kluere_context_options, 32);
FIELD(kluere_context_options, struct_size, 0);
FIELD(kluere_context_options, device, 4);
FIELD(kluere_context_options, thread_count, 8);
FIELD(kluere_context_options, log_level, 12);
FIELD(kluere_context_options, log, 16);
FIELD(kluere_context_options, log_userdata, 24);
SIZE(kluere_context_info, 32);
FIELD(kluere_context_info, struct_size, 0);
FIELD(kluere_context_info, device, 4);
FIELD(kluere_context_info, thread_count, 8);
FIELD(kluere_context_info, reserved, 12);
FIELD(kluere_context_info, device_name, 16);
FIELD(kluere_context_info, instruction_set, 24);
SIZE(kluere_entity, 32);
FIELD(kluere_entity, begin, 0);
FIELD(kluere_entity, end, 8);
FIELD(kluere_entity, type, 16);
FIELD(kluere_entity, type_length, 24);
SIZE(kluere_example, 144);
FIELD(kluere_example, text, 0);
FIELD(kluere_example, text_length, 8);
FIELD(kluere_example, subject, 16);
FIELD(kluere_example, object, 48);
FIELD(kluere_example, label, 80);
FIELD(kluere_example, label_length, 88);
FIELD(kluere_example, id, 96);
FIELD(kluere_example, id_length, 104);
FIELD(kluere_example, source, 112);
FIELD(kluere_example, source_length, 120);
FIELD(kluere_example, origin, 128);
FIELD(kluere_example, origin_length, 136);
SIZE(kluere_dataset_options, 32);
FIELD(kluere_dataset_options, struct_size, 0);
FIELD(kluere_dataset_options, format, 4);
FIELD(kluere_dataset_options, label_order, 8);
FIELD(kluere_dataset_options, bad_rows, 12);
FIELD(kluere_dataset_options, labels, 16);
FIELD(kluere_dataset_options, label_count, 24);
SIZE(kluere_tokenizer_options, 24);
FIELD(kluere_tokenizer_options, struct_size, 0);
FIELD(kluere_tokenizer_options, reserved, 4);
FIELD(kluere_tokenizer_options, added_special_tokens, 8);
FIELD(kluere_tokenizer_options, added_special_token_count, 16);
SIZE(kluere_encode_options, 16);
FIELD(kluere_encode_options, struct_size, 0);
FIELD(kluere_encode_options, flags, 4);
FIELD(kluere_encode_options, max_tokens, 8);
FIELD(kluere_encode_options, offset_unit, 12);
SIZE(kluere_token, 32);
FIELD(kluere_token, id, 0);
FIELD(kluere_token, type_id, 4);
FIELD(kluere_token, begin, 8);
FIELD(kluere_token, end, 16);
FIELD(kluere_token, sequence, 24);
FIELD(kluere_token, word, 28);
SIZE(kluere_model_config, 112);
FIELD(kluere_model_config, struct_size, 0);
FIELD(kluere_model_config, family, 4);
FIELD(kluere_model_config, hidden_size, 8);
FIELD(kluere_model_config, layer_count, 12);
FIELD(kluere_model_config, head_count, 16);
FIELD(kluere_model_config, intermediate_size, 20);
FIELD(kluere_model_config, max_positions, 24);
FIELD(kluere_model_config, input_form, 28);
FIELD(kluere_model_config, max_tokens, 32);
FIELD(kluere_model_config, hidden_dropout, 36);
FIELD(kluere_model_config, attention_dropout, 40);
FIELD(kluere_model_config, classifier_dropout, 44);
FIELD(kluere_model_config, layer_norm_epsilon, 48);
FIELD(kluere_model_config, initializer_range, 52);
FIELD(kluere_model_config, seed, 56);
FIELD(kluere_model_config, task, 64);
FIELD(kluere_model_config, activation, 68);
FIELD(kluere_model_config, embedding_size, 72);
FIELD(kluere_model_config, untied_decoder, 76);
FIELD(kluere_model_config, input_template, 80);
FIELD(kluere_model_config, particles, 88);
FIELD(kluere_model_config, after_marker, 92);
FIELD(kluere_model_config, head, 96);
FIELD(kluere_model_config, entity_segments, 100);
FIELD(kluere_model_config, recipe, 104);
SIZE(kluere_model_open_options, 96);
FIELD(kluere_model_open_options, struct_size, 0);
FIELD(kluere_model_open_options, input_form, 4);
FIELD(kluere_model_open_options, max_tokens, 8);
FIELD(kluere_model_open_options, read_into_memory, 12);
FIELD(kluere_model_open_options, seed, 16);
FIELD(kluere_model_open_options, labels, 24);
FIELD(kluere_model_open_options, label_count, 32);
FIELD(kluere_model_open_options, task, 40);
FIELD(kluere_model_open_options, reserved, 44);
FIELD(kluere_model_open_options, added_special_tokens, 48);
FIELD(kluere_model_open_options, added_special_token_count, 56);
FIELD(kluere_model_open_options, input_template, 64);
FIELD(kluere_model_open_options, particles, 72);
FIELD(kluere_model_open_options, after_marker, 76);
FIELD(kluere_model_open_options, head, 80);
FIELD(kluere_model_open_options, entity_segments, 84);
FIELD(kluere_model_open_options, recipe, 88);
SIZE(kluere_entity_places, 32);
FIELD(kluere_entity_places, marker_begin, 0);
FIELD(kluere_entity_places, begin, 8);
FIELD(kluere_entity_places, end, 16);
FIELD(kluere_entity_places, marker_end, 24);
SIZE(kluere_input_places, 96);
FIELD(kluere_input_places, struct_size, 0);
FIELD(kluere_input_places, reserved, 4);
FIELD(kluere_input_places, cls, 8);
FIELD(kluere_input_places, subject, 16);
FIELD(kluere_input_places, object, 48);
FIELD(kluere_input_places, cropped, 80);
SIZE(kluere_tensor_info, 40);
FIELD(kluere_tensor_info, struct_size, 0);
FIELD(kluere_tensor_info, flags, 4);
FIELD(kluere_tensor_info, name, 8);
FIELD(kluere_tensor_info, rank, 16);
FIELD(kluere_tensor_info, reserved, 20);
FIELD(kluere_tensor_info, shape, 24);
SIZE(kluere_type_mask_options, 32);
FIELD(kluere_type_mask_options, struct_size, 0);
FIELD(kluere_type_mask_options, hard_count, 4);
FIELD(kluere_type_mask_options, smoothing, 8);
FIELD(kluere_type_mask_options, strength, 16);
FIELD(kluere_type_mask_options, in_training, 24);
FIELD(kluere_type_mask_options, reserved, 28);
SIZE(kluere_pair_head_options, 24);
FIELD(kluere_pair_head_options, struct_size, 0);
FIELD(kluere_pair_head_options, hard_count, 4);
FIELD(kluere_pair_head_options, min_rows, 8);
FIELD(kluere_pair_head_options, random_init, 12);
FIELD(kluere_pair_head_options, seed, 16);
SIZE(kluere_pair_options, 16);
FIELD(kluere_pair_options, struct_size, 0);
FIELD(kluere_pair_options, prune, 4);
FIELD(kluere_pair_options, max_pairs, 8);
SIZE(kluere_pair_relation, 32);
FIELD(kluere_pair_relation, subject, 0);
FIELD(kluere_pair_relation, object, 8);
FIELD(kluere_pair_relation, label, 16);
FIELD(kluere_pair_relation, probability, 20);
FIELD(kluere_pair_relation, status, 24);
FIELD(kluere_pair_relation, reserved, 28);
SIZE(kluere_predictor_options, 40);
FIELD(kluere_predictor_options, struct_size, 0);
FIELD(kluere_predictor_options, output, 4);
FIELD(kluere_predictor_options, batch_tokens, 8);
FIELD(kluere_predictor_options, precision, 12);
FIELD(kluere_predictor_options, decoding, 16);
FIELD(kluere_predictor_options, type_mask, 20);
FIELD(kluere_predictor_options, type_mask_strength, 24);
FIELD(kluere_predictor_options, weights, 32);
FIELD(kluere_predictor_options, threads, 36);
SIZE(kluere_quantization_report, 88);
FIELD(kluere_quantization_report, struct_size, 0);
FIELD(kluere_quantization_report, weights, 4);
FIELD(kluere_quantization_report, rows, 8);
FIELD(kluere_quantization_report, bytes, 16);
FIELD(kluere_quantization_report, quantized_bytes, 24);
FIELD(kluere_quantization_report, micro_f1, 32);
FIELD(kluere_quantization_report, quantized_micro_f1, 40);
FIELD(kluere_quantization_report, auprc, 48);
FIELD(kluere_quantization_report, quantized_auprc, 56);
FIELD(kluere_quantization_report, equal_answers, 64);
FIELD(kluere_quantization_report, largest_difference, 72);
FIELD(kluere_quantization_report, mean_difference, 80);
SIZE(kluere_queue_options, 24);
FIELD(kluere_queue_options, struct_size, 0);
FIELD(kluere_queue_options, max_delay_us, 4);
FIELD(kluere_queue_options, max_batch_rows, 8);
FIELD(kluere_queue_options, max_batch_tokens, 12);
FIELD(kluere_queue_options, max_waiting, 16);
FIELD(kluere_queue_options, workers, 20);
SIZE(kluere_queue_info, 112);
FIELD(kluere_queue_info, struct_size, 0);
FIELD(kluere_queue_info, waiting, 4);
FIELD(kluere_queue_info, requests, 8);
FIELD(kluere_queue_info, rows, 16);
FIELD(kluere_queue_info, batches, 24);
FIELD(kluere_queue_info, refused, 32);
FIELD(kluere_queue_info, late, 40);
FIELD(kluere_queue_info, failed, 48);
FIELD(kluere_queue_info, seconds, 56);
FIELD(kluere_queue_info, rows_per_batch, 64);
FIELD(kluere_queue_info, rows_per_second, 72);
FIELD(kluere_queue_info, latency_p50, 80);
FIELD(kluere_queue_info, latency_p95, 88);
FIELD(kluere_queue_info, latency_p99, 96);
FIELD(kluere_queue_info, latency_max, 104);
SIZE(kluere_select_options, 48);
FIELD(kluere_select_options, exclude_labels, 4);
FIELD(kluere_select_options, narrow_labels, 8);
FIELD(kluere_select_options, subject_type, 16);
FIELD(kluere_select_options, object_type, 24);
FIELD(kluere_select_options, labels, 32);
FIELD(kluere_select_options, label_count, 40);
SIZE(kluere_pipeline_member, 32);
FIELD(kluere_pipeline_member, model, 0);
FIELD(kluere_pipeline_member, subject_type, 8);
FIELD(kluere_pipeline_member, object_type, 16);
FIELD(kluere_pipeline_member, role, 24);
SIZE(kluere_pipeline_options, 40);
FIELD(kluere_pipeline_options, kind, 4);
FIELD(kluere_pipeline_options, rule, 8);
FIELD(kluere_pipeline_options, vote, 12);
FIELD(kluere_pipeline_options, threshold, 16);
FIELD(kluere_pipeline_options, labels, 24);
FIELD(kluere_pipeline_options, label_count, 32);
SIZE(kluere_pipeline_info, 40);
FIELD(kluere_pipeline_info, kind, 4);
FIELD(kluere_pipeline_info, rule, 8);
FIELD(kluere_pipeline_info, vote, 12);
FIELD(kluere_pipeline_info, threshold, 16);
FIELD(kluere_pipeline_info, members, 24);
FIELD(kluere_pipeline_info, labels, 32);
SIZE(kluere_pipeline_member_info, 32);
FIELD(kluere_pipeline_member_info, role, 4);
FIELD(kluere_pipeline_member_info, subject_type, 8);
FIELD(kluere_pipeline_member_info, object_type, 16);
FIELD(kluere_pipeline_member_info, folder, 24);
SIZE(kluere_decoding_options, 64);
FIELD(kluere_decoding_options, struct_size, 0);
FIELD(kluere_decoding_options, temperature, 4);
FIELD(kluere_decoding_options, class_weights, 8);
FIELD(kluere_decoding_options, no_relation, 12);
FIELD(kluere_decoding_options, missing_class, 16);
FIELD(kluere_decoding_options, score_space, 20);
FIELD(kluere_decoding_options, folds, 24);
FIELD(kluere_decoding_options, prior_label, 28);
FIELD(kluere_decoding_options, seed, 32);
FIELD(kluere_decoding_options, prior_share, 40);
FIELD(kluere_decoding_options, source_prior, 48);
FIELD(kluere_decoding_options, target_prior, 56);
SIZE(kluere_decoding_figures, 40);
SIZE(kluere_decoding_report, 128);
FIELD(kluere_decoding_report, keeps_weights, 4);
FIELD(kluere_decoding_report, before, 8);
FIELD(kluere_decoding_report, after, 48);
FIELD(kluere_decoding_report, held_out, 88);
SIZE(kluere_decoding_info, 32);
FIELD(kluere_decoding_info, has_weights, 4);
FIELD(kluere_decoding_info, has_priors, 8);
FIELD(kluere_decoding_info, classes, 16);
FIELD(kluere_decoding_info, temperature, 24);
SIZE(kluere_token_batch, 40);
FIELD(kluere_token_batch, struct_size, 0);
FIELD(kluere_token_batch, reserved, 4);
FIELD(kluere_token_batch, ids, 8);
FIELD(kluere_token_batch, type_ids, 16);
FIELD(kluere_token_batch, offsets, 24);
FIELD(kluere_token_batch, input_count, 32);
SIZE(kluere_metrics_options, 16);
FIELD(kluere_metrics_options, struct_size, 0);
FIELD(kluere_metrics_options, no_relation, 4);
FIELD(kluere_metrics_options, missing_class, 8);
FIELD(kluere_metrics_options, score_space, 12);
SIZE(kluere_metrics, 64);
FIELD(kluere_metrics, struct_size, 0);
FIELD(kluere_metrics, missing_classes, 4);
FIELD(kluere_metrics, rows, 8);
FIELD(kluere_metrics, micro_f1, 16);
FIELD(kluere_metrics, micro_precision, 24);
FIELD(kluere_metrics, micro_recall, 32);
FIELD(kluere_metrics, auprc, 40);
FIELD(kluere_metrics, accuracy, 48);
FIELD(kluere_metrics, loss, 56);
SIZE(kluere_class_metrics, 56);
FIELD(kluere_class_metrics, precision, 0);
FIELD(kluere_class_metrics, recall, 8);
FIELD(kluere_class_metrics, f1, 16);
FIELD(kluere_class_metrics, auprc, 24);
FIELD(kluere_class_metrics, support, 32);
FIELD(kluere_class_metrics, predicted, 40);
FIELD(kluere_class_metrics, correct, 48);
SIZE(kluere_resampling_options, 24);
FIELD(kluere_resampling_options, struct_size, 0);
FIELD(kluere_resampling_options, resamples, 4);
FIELD(kluere_resampling_options, seed, 8);
FIELD(kluere_resampling_options, confidence, 16);
SIZE(kluere_interval, 32);
FIELD(kluere_interval, value, 0);
FIELD(kluere_interval, low, 8);
FIELD(kluere_interval, high, 16);
FIELD(kluere_interval, standard_error, 24);
SIZE(kluere_comparison, 56);
FIELD(kluere_comparison, first, 0);
FIELD(kluere_comparison, second, 8);
FIELD(kluere_comparison, difference, 16);
FIELD(kluere_comparison, low, 24);
FIELD(kluere_comparison, high, 32);
FIELD(kluere_comparison, p_bootstrap, 40);
FIELD(kluere_comparison, p_randomization, 48);
SIZE(kluere_calibration_options, 16);
FIELD(kluere_calibration_options, struct_size, 0);
FIELD(kluere_calibration_options, bins, 4);
FIELD(kluere_calibration_options, binning, 8);
FIELD(kluere_calibration_options, label, 12);
SIZE(kluere_calibration, 56);
FIELD(kluere_calibration, struct_size, 0);
FIELD(kluere_calibration, bins, 4);
FIELD(kluere_calibration, rows, 8);
FIELD(kluere_calibration, ece, 16);
FIELD(kluere_calibration, mce, 24);
FIELD(kluere_calibration, brier, 32);
FIELD(kluere_calibration, confidence, 40);
FIELD(kluere_calibration, accuracy, 48);
SIZE(kluere_calibration_bin, 40);
FIELD(kluere_calibration_bin, low, 0);
FIELD(kluere_calibration_bin, high, 8);
FIELD(kluere_calibration_bin, confidence, 16);
FIELD(kluere_calibration_bin, accuracy, 24);
FIELD(kluere_calibration_bin, rows, 32);
SIZE(kluere_coverage, 32);
FIELD(kluere_coverage, struct_size, 0);
FIELD(kluere_coverage, reserved, 4);
FIELD(kluere_coverage, aurc, 8);
FIELD(kluere_coverage, excess_aurc, 16);
FIELD(kluere_coverage, risk, 24);
SIZE(kluere_coverage_point, 32);
FIELD(kluere_coverage_point, coverage, 0);
FIELD(kluere_coverage_point, threshold, 8);
FIELD(kluere_coverage_point, risk, 16);
FIELD(kluere_coverage_point, micro_f1, 24);
SIZE(kluere_ensemble_options, 40);
FIELD(kluere_ensemble_options, struct_size, 0);
FIELD(kluere_ensemble_options, vote, 4);
FIELD(kluere_ensemble_options, score_space, 8);
FIELD(kluere_ensemble_options, no_relation, 12);
FIELD(kluere_ensemble_options, missing_class, 16);
FIELD(kluere_ensemble_options, metric, 20);
FIELD(kluere_ensemble_options, rounds, 24);
FIELD(kluere_ensemble_options, folds, 28);
FIELD(kluere_ensemble_options, seed, 32);
SIZE(kluere_subset, 40);
FIELD(kluere_subset, members, 0);
FIELD(kluere_subset, micro_f1, 8);
FIELD(kluere_subset, auprc, 16);
FIELD(kluere_subset, accuracy, 24);
FIELD(kluere_subset, loss, 32);
SIZE(kluere_contribution, 32);
FIELD(kluere_contribution, alone, 0);
FIELD(kluere_contribution, without, 8);
FIELD(kluere_contribution, leave_one_out, 16);
FIELD(kluere_contribution, shapley, 24);
SIZE(kluere_weight_search, 32);
FIELD(kluere_weight_search, struct_size, 0);
FIELD(kluere_weight_search, folds, 4);
FIELD(kluere_weight_search, value, 8);
FIELD(kluere_weight_search, held_out, 16);
FIELD(kluere_weight_search, equal_weights, 24);
SIZE(kluere_pseudo_label_options, 48);
FIELD(kluere_pseudo_label_options, struct_size, 0);
FIELD(kluere_pseudo_label_options, reserved, 4);
FIELD(kluere_pseudo_label_options, min_confidence, 8);
FIELD(kluere_pseudo_label_options, max_per_label, 16);
FIELD(kluere_pseudo_label_options, max_rows, 24);
FIELD(kluere_pseudo_label_options, label_shares, 32);
FIELD(kluere_pseudo_label_options, label_share_count, 40);
SIZE(kluere_loss_options, 160);
FIELD(kluere_loss_options, struct_size, 0);
FIELD(kluere_loss_options, kind, 4);
FIELD(kluere_loss_options, class_weight_rule, 8);
FIELD(kluere_loss_options, class_weight_scale, 12);
FIELD(kluere_loss_options, effective_beta, 16);
FIELD(kluere_loss_options, class_weights, 24);
FIELD(kluere_loss_options, class_weight_count, 32);
FIELD(kluere_loss_options, weights_from, 40);
FIELD(kluere_loss_options, weighted_mean, 48);
FIELD(kluere_loss_options, smoothing_mode, 52);
FIELD(kluere_loss_options, label_smoothing, 56);
FIELD(kluere_loss_options, focal_gamma, 64);
FIELD(kluere_loss_options, focal_alpha, 72);
FIELD(kluere_loss_options, focal_alphas, 80);
FIELD(kluere_loss_options, focal_alpha_count, 88);
FIELD(kluere_loss_options, detach_pt, 96);
FIELD(kluere_loss_options, reserved, 100);
FIELD(kluere_loss_options, ldam_margin, 104);
FIELD(kluere_loss_options, ldam_scale, 112);
FIELD(kluere_loss_options, r_drop, 120);
FIELD(kluere_loss_options, soft_targets, 128);
FIELD(kluere_loss_options, soft_target_count, 136);
FIELD(kluere_loss_options, temperature, 144);
FIELD(kluere_loss_options, distill_share, 152);
SIZE(kluere_train_options, 272);
FIELD(kluere_train_options, struct_size, 0);
FIELD(kluere_train_options, batch_sentences, 4);
FIELD(kluere_train_options, batch_tokens, 8);
FIELD(kluere_train_options, accumulation, 12);
FIELD(kluere_train_options, seed, 16);
FIELD(kluere_train_options, max_steps, 24);
FIELD(kluere_train_options, epochs, 32);
FIELD(kluere_train_options, learning_rate, 40);
FIELD(kluere_train_options, beta1, 48);
FIELD(kluere_train_options, beta2, 56);
FIELD(kluere_train_options, epsilon, 64);
FIELD(kluere_train_options, weight_decay, 72);
FIELD(kluere_train_options, max_grad_norm, 80);
FIELD(kluere_train_options, schedule, 88);
FIELD(kluere_train_options, group_by_length, 92);
FIELD(kluere_train_options, warmup_steps, 96);
FIELD(kluere_train_options, warmup_ratio, 104);
FIELD(kluere_train_options, hidden_dropout, 112);
FIELD(kluere_train_options, attention_dropout, 116);
FIELD(kluere_train_options, classifier_dropout, 120);
FIELD(kluere_train_options, best_metric, 124);
FIELD(kluere_train_options, evaluate_every, 128);
FIELD(kluere_train_options, checkpoint_every, 136);
FIELD(kluere_train_options, patience, 144);
FIELD(kluere_train_options, output_directory, 152);
FIELD(kluere_train_options, precision, 160);
FIELD(kluere_train_options, split_on_out_of_memory, 164);
FIELD(kluere_train_options, loss, 168);
FIELD(kluere_train_options, multi_sample_dropout, 176);
FIELD(kluere_train_options, optimizer, 180);
FIELD(kluere_train_options, layer_decay, 184);
FIELD(kluere_train_options, head_learning_rate_factor, 192);
FIELD(kluere_train_options, freeze_embeddings, 200);
FIELD(kluere_train_options, freeze_layers, 204);
FIELD(kluere_train_options, ema_decay, 208);
FIELD(kluere_train_options, swa_start, 216);
FIELD(kluere_train_options, swa_every, 224);
FIELD(kluere_train_options, swa_learning_rate, 232);
FIELD(kluere_train_options, ema_warmup, 240);
FIELD(kluere_train_options, checkpoint_activations, 244);
FIELD(kluere_train_options, schedule_cycles, 248);
FIELD(kluere_train_options, schedule_power, 256);
FIELD(kluere_train_options, end_learning_rate, 264);
SIZE(kluere_step_info, 96);
FIELD(kluere_step_info, struct_size, 0);
FIELD(kluere_step_info, done, 4);
FIELD(kluere_step_info, step, 8);
FIELD(kluere_step_info, total_steps, 16);
FIELD(kluere_step_info, sentences, 24);
FIELD(kluere_step_info, tokens, 32);
FIELD(kluere_step_info, epoch, 40);
FIELD(kluere_step_info, loss, 48);
FIELD(kluere_step_info, learning_rate, 56);
FIELD(kluere_step_info, grad_norm, 64);
FIELD(kluere_step_info, seconds, 72);
FIELD(kluere_step_info, skipped, 80);
FIELD(kluere_step_info, reserved, 84);
FIELD(kluere_step_info, loss_scale, 88);
SIZE(kluere_train_event, 40);
FIELD(kluere_train_event, struct_size, 0);
FIELD(kluere_train_event, kind, 4);
FIELD(kluere_train_event, step, 8);
FIELD(kluere_train_event, metrics, 16);
FIELD(kluere_train_event, path, 24);
FIELD(kluere_train_event, is_best, 32);
FIELD(kluere_train_event, reserved, 36);
SIZE(kluere_audit_options, 16);
FIELD(kluere_audit_options, struct_size, 0);
FIELD(kluere_audit_options, rare_below, 4);
FIELD(kluere_audit_options, input_form, 8);
FIELD(kluere_audit_options, max_tokens, 12);
SIZE(kluere_finding, 48);
FIELD(kluere_finding, struct_size, 0);
FIELD(kluere_finding, kind, 4);
FIELD(kluere_finding, severity, 8);
FIELD(kluere_finding, action, 12);
FIELD(kluere_finding, row, 16);
FIELD(kluere_finding, other_row, 24);
FIELD(kluere_finding, id, 32);
FIELD(kluere_finding, message, 40);
SIZE(kluere_type_correction, 32);
FIELD(kluere_type_correction, label, 0);
FIELD(kluere_type_correction, from, 8);
FIELD(kluere_type_correction, to, 16);
FIELD(kluere_type_correction, role, 24);
FIELD(kluere_type_correction, reserved, 28);
SIZE(kluere_clean_options, 56);
FIELD(kluere_clean_options, struct_size, 0);
FIELD(kluere_clean_options, remove_duplicates, 4);
FIELD(kluere_clean_options, conflicts, 8);
FIELD(kluere_clean_options, types, 12);
FIELD(kluere_clean_options, majority_share, 16);
FIELD(kluere_clean_options, remove_ids, 24);
FIELD(kluere_clean_options, remove_id_count, 32);
FIELD(kluere_clean_options, corrections, 40);
FIELD(kluere_clean_options, correction_count, 48);
SIZE(kluere_split_options, 40);
FIELD(kluere_split_options, struct_size, 0);
FIELD(kluere_split_options, stratify, 4);
FIELD(kluere_split_options, seed, 8);
FIELD(kluere_split_options, second_fraction, 16);
FIELD(kluere_split_options, label_shares, 24);
FIELD(kluere_split_options, label_share_count, 32);
SIZE(kluere_corpus_options, 24);
FIELD(kluere_corpus_options, struct_size, 0);
FIELD(kluere_corpus_options, max_tokens, 4);
FIELD(kluere_corpus_options, rows, 8);
FIELD(kluere_corpus_options, bad_lines, 12);
FIELD(kluere_corpus_options, input_form, 16);
FIELD(kluere_corpus_options, reserved, 20);
SIZE(kluere_corpus_info, 48);
FIELD(kluere_corpus_info, struct_size, 0);
FIELD(kluere_corpus_info, reserved, 4);
FIELD(kluere_corpus_info, rows, 8);
FIELD(kluere_corpus_info, tokens, 16);
FIELD(kluere_corpus_info, lines, 24);
FIELD(kluere_corpus_info, cut, 32);
FIELD(kluere_corpus_info, skipped, 40);
SIZE(kluere_masked_lm_options, 40);
FIELD(kluere_masked_lm_options, struct_size, 0);
FIELD(kluere_masked_lm_options, whole_words, 4);
FIELD(kluere_masked_lm_options, mask_probability, 8);
FIELD(kluere_masked_lm_options, mask_share, 16);
FIELD(kluere_masked_lm_options, random_share, 24);
FIELD(kluere_masked_lm_options, evaluation_seed, 32);
SIZE(kluere_masked_lm_figures, 40);
FIELD(kluere_masked_lm_figures, struct_size, 0);
FIELD(kluere_masked_lm_figures, reserved, 4);
FIELD(kluere_masked_lm_figures, tokens, 8);
FIELD(kluere_masked_lm_figures, loss, 16);
FIELD(kluere_masked_lm_figures, perplexity, 24);
FIELD(kluere_masked_lm_figures, accuracy, 32);
SIZE(kluere_augment_options, 56);
FIELD(kluere_augment_options, struct_size, 0);
FIELD(kluere_augment_options, kind, 4);
FIELD(kluere_augment_options, seed, 8);
FIELD(kluere_augment_options, row_share, 16);
FIELD(kluere_augment_options, word_share, 24);
FIELD(kluere_augment_options, copies, 32);
FIELD(kluere_augment_options, swap_map, 36);
FIELD(kluere_augment_options, keep_originals, 40);
FIELD(kluere_augment_options, reserved, 44);
FIELD(kluere_augment_options, mask, 48);
SIZE(kluere_fill_options, 40);
FIELD(kluere_fill_options, struct_size, 0);
FIELD(kluere_fill_options, top_k, 4);
FIELD(kluere_fill_options, seed, 8);
FIELD(kluere_fill_options, row_share, 16);
FIELD(kluere_fill_options, word_share, 24);
FIELD(kluere_fill_options, keep_originals, 32);
FIELD(kluere_fill_options, reserved, 36);

STATIC_CHECK(KLUERE_OK == 0);
STATIC_CHECK(KLUERE_ERR_INVALID_ARGUMENT == -1);
STATIC_CHECK(KLUERE_ERR_BAD_HANDLE == -2);
STATIC_CHECK(KLUERE_ERR_INVALID_UTF8 == -3);
STATIC_CHECK(KLUERE_ERR_STATE == -4);
STATIC_CHECK(KLUERE_ERR_IO == -10);
STATIC_CHECK(KLUERE_ERR_BAD_FORMAT == -11);
STATIC_CHECK(KLUERE_ERR_VERSION == -12);
STATIC_CHECK(KLUERE_ERR_OUT_OF_MEMORY == -20);
STATIC_CHECK(KLUERE_ERR_DEVICE == -21);
STATIC_CHECK(KLUERE_ERR_UNSUPPORTED == -22);
STATIC_CHECK(KLUERE_ERR_BUFFER_TOO_SMALL == -30);
STATIC_CHECK(KLUERE_ERR_CANCELLED == -31);
STATIC_CHECK(KLUERE_ERR_NOT_FINITE == -32);
STATIC_CHECK(KLUERE_ERR_BUSY == -33);
STATIC_CHECK(KLUERE_ERR_TIMEOUT == -34);
STATIC_CHECK(KLUERE_ERR_INTERNAL == -99);

typedef void (*function)(void);
static const function functions[] = {
    (function)kluere_abi_version,
    (function)kluere_version_number,
    (function)kluere_version_string,
    (function)kluere_status_name,
    (function)kluere_last_error,
    (function)kluere_context_options_init,
    (function)kluere_context_create,
    (function)kluere_context_destroy,
    (function)kluere_context_describe,
    (function)kluere_context_selftest,
    (function)kluere_offset_convert,
    (function)kluere_dataset_options_init,
    (function)kluere_dataset_read,
    (function)kluere_dataset_create,
    (function)kluere_dataset_destroy,
    (function)kluere_dataset_count,
    (function)kluere_dataset_get,
    (function)kluere_dataset_label_count,
    (function)kluere_dataset_label,
    (function)kluere_dataset_label_indices,
    (function)kluere_dataset_skipped_count,
    (function)kluere_dataset_skipped_reason,
    (function)kluere_dataset_subset,
    (function)kluere_dataset_concat,
    (function)kluere_pseudo_label_options_init,
    (function)kluere_dataset_pseudo_label,
    (function)kluere_dataset_write,
    (function)kluere_dataset_split,
    (function)kluere_tokenizer_options_init,
    (function)kluere_tokenizer_open,
    (function)kluere_tokenizer_destroy,
    (function)kluere_tokenizer_vocabulary_size,
    (function)kluere_tokenizer_token,
    (function)kluere_tokenizer_id,
    (function)kluere_encode_options_init,
    (function)kluere_tokenizer_encode,
    (function)kluere_tokenizer_encode_batch,
    (function)kluere_tokenizer_decode,
    (function)kluere_text_get,
    (function)kluere_text_destroy,
    (function)kluere_dataset_lengths,
    (function)kluere_dataset_statistics,
    (function)kluere_dataset_compare,
    (function)kluere_audit_options_init,
    (function)kluere_audit_create,
    (function)kluere_audit_destroy,
    (function)kluere_audit_count,
    (function)kluere_audit_get,
    (function)kluere_dataset_export_arrow,
    (function)kluere_clean_options_init,
    (function)kluere_dataset_clean,
    (function)kluere_dataset_restore,
    (function)kluere_split_options_init,
    (function)kluere_dataset_folds,
    (function)kluere_dataset_split_stratified,
    (function)kluere_augment_options_init,
    (function)kluere_dataset_augment,
    (function)kluere_dataset_add_paraphrases,
    (function)kluere_model_config_init,
    (function)kluere_model_open_options_init,
    (function)kluere_model_create,
    (function)kluere_model_open,
    (function)kluere_model_save,
    (function)kluere_model_destroy,
    (function)kluere_model_describe,
    (function)kluere_model_tokenizer,
    (function)kluere_model_label_count,
    (function)kluere_model_label,
    (function)kluere_model_parameter_count,
    (function)kluere_model_label_indices,
    (function)kluere_model_encode,
    (function)kluere_model_input_places,
    (function)kluere_model_tensor_count,
    (function)kluere_model_tensor_describe,
    (function)kluere_model_tensor_read,
    (function)kluere_model_unused_tensor_count,
    (function)kluere_model_unused_tensor,
    (function)kluere_dataset_type_counts,
    (function)kluere_type_mask_options_init,
    (function)kluere_model_with_type_mask,
    (function)kluere_model_type_prior,
    (function)kluere_model_types,
    (function)kluere_pair_head_options_init,
    (function)kluere_model_with_pair_heads,
    (function)kluere_predictor_options_init,
    (function)kluere_predictor_create,
    (function)kluere_predictor_destroy,
    (function)kluere_predictor_predict,
    (function)kluere_predictor_predict_dataset,
    (function)kluere_pair_options_init,
    (function)kluere_predictor_predict_pairs,
    (function)kluere_queue_options_init,
    (function)kluere_queue_create,
    (function)kluere_queue_destroy,
    (function)kluere_queue_close,
    (function)kluere_queue_predict,
    (function)kluere_queue_stats,
    (function)kluere_predictor_hidden_states,
    (function)kluere_predictor_embed,
    (function)kluere_predictor_embed_texts,
    (function)kluere_predictor_classify,
    (function)kluere_predictor_mask_logits,
    (function)kluere_fill_options_init,
    (function)kluere_predictor_fill_in,
    (function)kluere_decoding_options_init,
    (function)kluere_decoding_fit,
    (function)kluere_decoding_create,
    (function)kluere_decoding_destroy,
    (function)kluere_decoding_describe,
    (function)kluere_decoding_read,
    (function)kluere_decoding_prior,
    (function)kluere_decoding_apply,
    (function)kluere_model_with_decoding,
    (function)kluere_model_decoding,
    (function)kluere_submission_write,
    (function)kluere_submission_write_table,
    (function)kluere_submission_read,
    (function)kluere_metrics_options_init,
    (function)kluere_metrics_compute,
    (function)kluere_metrics_by_group,
    (function)kluere_resampling_options_init,
    (function)kluere_metrics_bootstrap,
    (function)kluere_metrics_compare,
    (function)kluere_calibration_options_init,
    (function)kluere_metrics_calibration,
    (function)kluere_metrics_coverage,
    (function)kluere_ensemble_options_init,
    (function)kluere_ensemble_combine,
    (function)kluere_ensemble_rank,
    (function)kluere_ensemble_search,
    (function)kluere_loss_options_init,
    (function)kluere_select_options_init,
    (function)kluere_dataset_select,
    (function)kluere_dataset_binary,
    (function)kluere_pipeline_options_init,
    (function)kluere_pipeline_create,
    (function)kluere_pipeline_open,
    (function)kluere_pipeline_save,
    (function)kluere_pipeline_destroy,
    (function)kluere_pipeline_describe,
    (function)kluere_pipeline_describe_member,
    (function)kluere_pipeline_label_count,
    (function)kluere_pipeline_label,
    (function)kluere_pipeline_predict,
    (function)kluere_pipeline_predict_dataset,
    (function)kluere_train_options_init,
    (function)kluere_trainer_create,
    (function)kluere_trainer_resume,
    (function)kluere_trainer_destroy,
    (function)kluere_trainer_step,
    (function)kluere_trainer_run,
    (function)kluere_trainer_request_stop,
    (function)kluere_trainer_evaluate,
    (function)kluere_trainer_export_model,
    (function)kluere_trainer_save_checkpoint,
    (function)kluere_trainer_gradient_read,
    (function)kluere_corpus_options_init,
    (function)kluere_corpus_read,
    (function)kluere_corpus_create,
    (function)kluere_corpus_from_datasets,
    (function)kluere_corpus_destroy,
    (function)kluere_corpus_describe,
    (function)kluere_corpus_row,
    (function)kluere_masked_lm_options_init,
    (function)kluere_corpus_mask,
    (function)kluere_trainer_create_masked_lm,
    (function)kluere_trainer_resume_masked_lm,
    (function)kluere_trainer_evaluate_masked_lm,
    (function)kluere_predictor_evaluate_masked_lm,
    (function)kluere_recipe_count,
    (function)kluere_recipe_name,
    (function)kluere_recipe_open,
    (function)kluere_recipe_destroy,
    (function)kluere_recipe_json,
    (function)kluere_recipe_apply_model,
    (function)kluere_recipe_apply_training,
    (function)kluere_recipe_apply_pretraining,
};

int main(void) {
  size_t count = sizeof functions / sizeof functions[0];
  for (size_t i = 0; i < count; i++)
    if (!functions[i]) return 1;
  printf("%d functions, the layout of version %u\n", (int)count, (unsigned)KLUERE_ABI_VERSION);
  return kluere_abi_version() == KLUERE_ABI_VERSION ? 0 : 1;
}
