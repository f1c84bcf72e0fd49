import CKluere
import Testing

/// The defaults that kluere.h states.
struct DefaultsTests {
  private func filled<Options>(
    _ initialize: (UnsafeMutablePointer<Options>?, Int) -> kluere_status, _ options: Options
  ) -> Options {
    var options = options
    #expect(initialize(&options, MemoryLayout<Options>.size) == kluere_status(KLUERE_OK))
    return options
  }

  @Test func `training defaults are those of the header`() {
    let options = filled(kluere_train_options_init, kluere_train_options())
    #expect(options.struct_size == UInt32(MemoryLayout<kluere_train_options>.size))
    #expect(options.batch_sentences == 32 && options.batch_tokens == 0 && options.accumulation == 1)
    #expect(options.seed == 42 && options.max_steps == 0 && options.epochs == 3 && options.learning_rate == 5e-5)
    #expect(options.beta1 == 0.9 && options.beta2 == 0.999 && options.epsilon == 1e-8)
    #expect(options.weight_decay == 0.01 && options.max_grad_norm == 1)
    #expect(options.schedule == Int32(KLUERE_SCHEDULE_LINEAR) && options.group_by_length == 0)
    #expect(options.warmup_steps == 0 && options.warmup_ratio == 0.1)
    #expect(options.hidden_dropout == -1 && options.attention_dropout == -1 && options.classifier_dropout == -1)
    #expect(options.best_metric == Int32(KLUERE_BEST_MICRO_F1) && options.evaluate_every == 0)
    #expect(options.checkpoint_every == 0 && options.patience == 0 && options.output_directory == nil)
    #expect(options.layer_decay == 1 && options.head_learning_rate_factor == 1)
    #expect(options.freeze_embeddings == 0 && options.freeze_layers == 0 && options.ema_decay == 0)
    #expect(options.swa_start == 0 && options.swa_every == 1 && options.swa_learning_rate == 0)
    #expect(options.ema_warmup == 0 && options.checkpoint_activations == 0)
    #expect(options.optimizer == Int32(KLUERE_OPTIMIZER_ADAMW) && options.schedule_cycles == 0)
    #expect(options.schedule_power == 0 && options.end_learning_rate == -1)
    #expect(options.multi_sample_dropout == 1)
  }

  @Test func `loss defaults are those of the header`() {
    let loss = filled(kluere_loss_options_init, kluere_loss_options())
    #expect(loss.kind == Int32(KLUERE_LOSS_CROSS_ENTROPY) && loss.class_weight_rule == 0)
    #expect(loss.class_weight_scale == 0 && loss.effective_beta == -1 && loss.class_weights == nil)
    #expect(loss.weights_from == 0 && loss.weighted_mean == 0)
    #expect(loss.smoothing_mode == Int32(KLUERE_SMOOTHING_ALL) && loss.label_smoothing == 0)
    #expect(loss.focal_gamma == -1 && loss.focal_alpha == -1 && loss.focal_alphas == nil && loss.detach_pt == 0)
    #expect(loss.ldam_margin == -1 && loss.ldam_scale == -1 && loss.r_drop == 0)
    #expect(loss.soft_targets == nil && loss.temperature == -1 && loss.distill_share == -1)
    #expect(kluere_train_options().loss == nil)
    let pseudo = filled(kluere_pseudo_label_options_init, kluere_pseudo_label_options())
    #expect(pseudo.min_confidence == 0.9 && pseudo.max_per_label == 0 && pseudo.max_rows == 0)
    #expect(pseudo.label_shares == nil)
  }

  @Test func `model defaults are those of the header`() {
    let config = filled(kluere_model_config_init, kluere_model_config())
    #expect(config.family == Int32(KLUERE_FAMILY_ROBERTA) && config.layer_count == 4 && config.hidden_size == 256)
    #expect(config.head_count == 4 && config.intermediate_size == 1024 && config.max_positions == 512)
    #expect(config.input_form == Int32(KLUERE_INPUT_TYPED_MARKER_PUNCT) && config.max_tokens == 0)
    #expect(config.hidden_dropout == 0.1 && config.attention_dropout == 0.1 && config.classifier_dropout == -1)
    #expect(config.layer_norm_epsilon == 0 && config.initializer_range == 0.02 && config.seed == 42)
    #expect(config.head == Int32(KLUERE_HEAD_CLS) && config.entity_segments == 0)
    let open = filled(kluere_model_open_options_init, kluere_model_open_options())
    #expect(open.input_form == -1 && open.max_tokens == 0 && open.read_into_memory == 0 && open.seed == 42)
    #expect(open.head == -1 && open.entity_segments == -1)
    #expect(open.labels == nil && open.label_count == 0)
    #expect(open.added_special_tokens == nil && open.added_special_token_count == 0)
  }

  @Test func `the other defaults are those of the header`() {
    let context = filled(kluere_context_options_init, kluere_context_options())
    #expect(context.device == Int32(KLUERE_DEVICE_CPU) && context.thread_count == 0 && context.log == nil)
    #expect(context.log_level == Int32(KLUERE_LOG_WARNING) && context.log_userdata == nil)
    let dataset = filled(kluere_dataset_options_init, kluere_dataset_options())
    #expect(dataset.format == 0 && dataset.label_order == 0 && dataset.bad_rows == 0 && dataset.labels == nil)
    let tokenizer = filled(kluere_tokenizer_options_init, kluere_tokenizer_options())
    #expect(tokenizer.added_special_tokens == nil && tokenizer.added_special_token_count == 0)
    let encode = filled(kluere_encode_options_init, kluere_encode_options())
    #expect(encode.flags == 1 && encode.max_tokens == 0 && encode.offset_unit == 0)
    let predictor = filled(kluere_predictor_options_init, kluere_predictor_options())
    #expect(predictor.output == 0 && predictor.batch_tokens == 8192 && predictor.decoding == 0)
    #expect(predictor.threads == 0)
    let queue = filled(kluere_queue_options_init, kluere_queue_options())
    #expect(queue.max_delay_us == 0 && queue.max_batch_rows == 32 && queue.max_batch_tokens == 0)
    #expect(queue.max_waiting == 1024 && queue.workers == 0)
    let decoding = filled(kluere_decoding_options_init, kluere_decoding_options())
    #expect(decoding.temperature == 1 && decoding.class_weights == 0 && decoding.score_space == 1)
    #expect(decoding.folds == 5 && decoding.prior_label == -1 && decoding.prior_share == 0 && decoding.seed == 42)
    #expect(decoding.no_relation == 0 && decoding.source_prior == nil && decoding.target_prior == nil)
    let pipeline = filled(kluere_pipeline_options_init, kluere_pipeline_options())
    #expect(pipeline.kind == 0 && pipeline.rule == -1 && pipeline.vote == -1 && pipeline.threshold == -1)
    let select = filled(kluere_select_options_init, kluere_select_options())
    #expect(select.exclude_labels == 0 && select.narrow_labels == 0 && select.labels == nil)
    #expect(predictor.weights == Int32(KLUERE_WEIGHTS_AUTO))
    #expect(predictor.type_mask == Int32(KLUERE_TYPE_MASK_AUTO) && predictor.type_mask_strength == -1)
    let mask = filled(kluere_type_mask_options_init, kluere_type_mask_options())
    #expect(mask.smoothing == 1 && mask.strength == 1 && mask.hard_count == 0 && mask.in_training == 0)
    let heads = filled(kluere_pair_head_options_init, kluere_pair_head_options())
    #expect(heads.hard_count == 1 && heads.min_rows == 1 && heads.random_init == 0 && heads.seed == 42)
    let pairs = filled(kluere_pair_options_init, kluere_pair_options())
    #expect(pairs.prune == Int32(KLUERE_PRUNE_NONE) && pairs.max_pairs == 65_536)
    let metrics = filled(kluere_metrics_options_init, kluere_metrics_options())
    #expect(metrics.no_relation == 0 && metrics.missing_class == 0 && metrics.score_space == 0)
  }

  @Test func `defaults of masked-LM training are those of the header`() {
    let corpus = filled(kluere_corpus_options_init, kluere_corpus_options())
    #expect(corpus.max_tokens == 128 && corpus.rows == Int32(KLUERE_CORPUS_LINES) && corpus.bad_lines == 0)
    #expect(corpus.input_form == -1)
    let masking = filled(kluere_masked_lm_options_init, kluere_masked_lm_options())
    #expect(masking.mask_probability == 0.15 && masking.mask_share == 0.8 && masking.random_share == 0.1)
    #expect(masking.whole_words == 0 && masking.evaluation_seed == 42)
  }
}
