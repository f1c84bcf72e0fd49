internal import CKluere
internal import KluereBase
internal import KluereRecipes

/// What recipes may set, by the header's names.
extension RecipeObject {
  private static var inputForms: KeyValuePairs<String, Int> {
    [
      "entity_pair": KLUERE_INPUT_ENTITY_PAIR, "typed_marker_punct": KLUERE_INPUT_TYPED_MARKER_PUNCT,
      "template": KLUERE_INPUT_TEMPLATE, "prompt_relation": KLUERE_INPUT_PROMPT_RELATION,
      "prompt_question": KLUERE_INPUT_PROMPT_QUESTION, "prompt_typed_question": KLUERE_INPUT_PROMPT_TYPED_QUESTION,
      "prompt_typed_statement": KLUERE_INPUT_PROMPT_TYPED_STATEMENT,
      "prompt_typed_nouns": KLUERE_INPUT_PROMPT_TYPED_NOUNS, "semantic_typing": KLUERE_INPUT_SEMANTIC_TYPING,
      "entity_mask": KLUERE_INPUT_ENTITY_MASK, "entity_marker": KLUERE_INPUT_ENTITY_MARKER,
      "entity_marker_punct": KLUERE_INPUT_ENTITY_MARKER_PUNCT, "typed_marker": KLUERE_INPUT_TYPED_MARKER,
      "typed_marker_punct_english": KLUERE_INPUT_TYPED_MARKER_PUNCT_ENGLISH, "klue": KLUERE_INPUT_KLUE,
      "r_bert": KLUERE_INPUT_R_BERT, "report_4": KLUERE_INPUT_REPORT_4, "report_5": KLUERE_INPUT_REPORT_5,
      "report_6": KLUERE_INPUT_REPORT_6, "levitated_marker": KLUERE_INPUT_LEVITATED_MARKER,
      "typed_levitated_marker": KLUERE_INPUT_TYPED_LEVITATED_MARKER,
    ]
  }

  private static var heads: KeyValuePairs<String, Int> {
    [
      "cls": KLUERE_HEAD_CLS, "cls_linear": KLUERE_HEAD_CLS_LINEAR, "entity_start": KLUERE_HEAD_ENTITY_START,
      "entity_start_gelu": KLUERE_HEAD_ENTITY_START_GELU, "entity_start_linear": KLUERE_HEAD_ENTITY_START_LINEAR,
      "cls_entity_start": KLUERE_HEAD_CLS_ENTITY_START, "mention_pool": KLUERE_HEAD_MENTION_POOL,
      "r_bert": KLUERE_HEAD_R_BERT, "report_4": KLUERE_HEAD_REPORT_4, "report_6": KLUERE_HEAD_REPORT_6,
    ]
  }

  private static var particleRules: KeyValuePairs<String, Int> {
    ["fixed": KLUERE_PARTICLES_FIXED, "agree": KLUERE_PARTICLES_AGREE]
  }

  private static var afterMarkers: KeyValuePairs<String, Int> {
    [
      "new_word": KLUERE_AFTER_MARKER_NEW_WORD, "continuation": KLUERE_AFTER_MARKER_CONTINUATION,
      "klue_repair": KLUERE_AFTER_MARKER_KLUE_REPAIR,
    ]
  }

  static var configFields: [RecipeField<kluere_model_config>] {
    [
      .choice("input_form", \.input_form, inputForms), .choice("particles", \.particles, particleRules),
      .choice("after_marker", \.after_marker, afterMarkers), .count("max_tokens", \.max_tokens),
      .choice("head", \.head, heads), .flag("entity_segments", \.entity_segments),
    ]
  }

  static var openFields: [RecipeField<kluere_model_open_options>] {
    [
      .choice("input_form", \.input_form, inputForms), .choice("particles", \.particles, particleRules),
      .choice("after_marker", \.after_marker, afterMarkers), .count("max_tokens", \.max_tokens),
      .choice("head", \.head, heads), .flag("entity_segments", \.entity_segments),
    ]
  }

  static var trainFields: [RecipeField<kluere_train_options>] {
    [
      .count("batch_sentences", \.batch_sentences), .count("batch_tokens", \.batch_tokens),
      .count("accumulation", \.accumulation), .count("seed", \.seed), .count("max_steps", \.max_steps),
      .number("epochs", \.epochs), .number("learning_rate", \.learning_rate), .number("beta1", \.beta1),
      .number("beta2", \.beta2), .number("epsilon", \.epsilon), .number("weight_decay", \.weight_decay),
      .number("max_grad_norm", \.max_grad_norm), .choice("schedule", \.schedule, schedules),
      .flag("group_by_length", \.group_by_length), .count("warmup_steps", \.warmup_steps),
      .number("warmup_ratio", \.warmup_ratio), .number("hidden_dropout", \.hidden_dropout),
      .number("attention_dropout", \.attention_dropout), .number("classifier_dropout", \.classifier_dropout),
      .choice("best_metric", \.best_metric, bestMetrics), .count("evaluate_every", \.evaluate_every),
      .count("checkpoint_every", \.checkpoint_every), .count("patience", \.patience),
      .choice("precision", \.precision, precisions), .count("multi_sample_dropout", \.multi_sample_dropout),
      .number("layer_decay", \.layer_decay), .number("head_learning_rate_factor", \.head_learning_rate_factor),
      .flag("freeze_embeddings", \.freeze_embeddings), .count("freeze_layers", \.freeze_layers),
      .number("ema_decay", \.ema_decay), .flag("ema_warmup", \.ema_warmup), .number("swa_start", \.swa_start),
      .count("swa_every", \.swa_every), .number("swa_learning_rate", \.swa_learning_rate),
      .flag("checkpoint_activations", \.checkpoint_activations), .choice("optimizer", \.optimizer, optimizers),
      .number("schedule_cycles", \.schedule_cycles), .number("schedule_power", \.schedule_power),
      .number("end_learning_rate", \.end_learning_rate),
    ]
  }

  static var lossFields: [RecipeField<kluere_loss_options>] {
    [
      .choice("kind", \.kind, lossKinds), .choice("class_weight_rule", \.class_weight_rule, classWeights),
      .choice("class_weight_scale", \.class_weight_scale, weightScales),
      .number("effective_beta", \.effective_beta), .number("weights_from", \.weights_from),
      .flag("weighted_mean", \.weighted_mean), .number("label_smoothing", \.label_smoothing),
      .choice("smoothing_mode", \.smoothing_mode, smoothingModes), .number("focal_gamma", \.focal_gamma),
      .number("focal_alpha", \.focal_alpha), .flag("detach_pt", \.detach_pt), .number("ldam_margin", \.ldam_margin),
      .number("ldam_scale", \.ldam_scale), .number("r_drop", \.r_drop),
    ]
  }

  static var corpusFields: [RecipeField<kluere_corpus_options>] {
    [
      .count("max_tokens", \.max_tokens), .choice("rows", \.rows, corpusRows),
      .choice("input_form", \.input_form, inputForms),
    ]
  }

  static var maskingFields: [RecipeField<kluere_masked_lm_options>] {
    [
      .flag("whole_words", \.whole_words), .number("mask_probability", \.mask_probability),
      .number("mask_share", \.mask_share), .number("random_share", \.random_share),
    ]
  }

  private static var schedules: KeyValuePairs<String, Int> {
    [
      "linear": KLUERE_SCHEDULE_LINEAR, "cosine": KLUERE_SCHEDULE_COSINE, "constant": KLUERE_SCHEDULE_CONSTANT,
      "cosine_with_restarts": KLUERE_SCHEDULE_COSINE_WITH_RESTARTS, "polynomial": KLUERE_SCHEDULE_POLYNOMIAL,
      "inverse_sqrt": KLUERE_SCHEDULE_INVERSE_SQRT,
    ]
  }

  private static var bestMetrics: KeyValuePairs<String, Int> {
    ["micro_f1": KLUERE_BEST_MICRO_F1, "auprc": KLUERE_BEST_AUPRC, "loss": KLUERE_BEST_LOSS]
  }

  private static var precisions: KeyValuePairs<String, Int> {
    [
      "auto": KLUERE_PRECISION_AUTO, "float32": KLUERE_PRECISION_FLOAT32, "tf32": KLUERE_PRECISION_TF32,
      "bfloat16": KLUERE_PRECISION_BFLOAT16, "float16": KLUERE_PRECISION_FLOAT16,
    ]
  }

  private static var optimizers: KeyValuePairs<String, Int> {
    ["adamw": KLUERE_OPTIMIZER_ADAMW, "adamw_hf": KLUERE_OPTIMIZER_ADAMW_HF]
  }

  private static var lossKinds: KeyValuePairs<String, Int> {
    ["cross_entropy": KLUERE_LOSS_CROSS_ENTROPY, "focal": KLUERE_LOSS_FOCAL, "ldam": KLUERE_LOSS_LDAM]
  }

  private static var classWeights: KeyValuePairs<String, Int> {
    [
      "none": KLUERE_CLASS_WEIGHTS_NONE, "inverse": KLUERE_CLASS_WEIGHTS_INVERSE, "sqrt": KLUERE_CLASS_WEIGHTS_SQRT,
      "effective": KLUERE_CLASS_WEIGHTS_EFFECTIVE,
    ]
  }

  private static var weightScales: KeyValuePairs<String, Int> {
    [
      "mean_classes": KLUERE_WEIGHT_SCALE_MEAN_CLASSES, "mean_rows": KLUERE_WEIGHT_SCALE_MEAN_ROWS,
      "as_is": KLUERE_WEIGHT_SCALE_AS_IS,
    ]
  }

  private static var smoothingModes: KeyValuePairs<String, Int> {
    ["all": KLUERE_SMOOTHING_ALL, "others": KLUERE_SMOOTHING_OTHERS]
  }

  private static var corpusRows: KeyValuePairs<String, Int> {
    ["lines": KLUERE_CORPUS_LINES, "pack": KLUERE_CORPUS_PACK]
  }
}
