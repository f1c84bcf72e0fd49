/* kernel_list.h - every kernel and the file it is in: KC_KERNELS(K) is K(file, name) for each. One list for the host's
 * table, the stand-in driver of the tests and the compile check. A kernel takes one struct of parameters.h by value. */
#ifndef KLUERE_KERNEL_LIST_H
#define KLUERE_KERNEL_LIST_H

/* A kernel for each number type; chips before compute capability 8.0 have none for bf16. */
#define KC_EACH_TYPE(K, file, name) K(file, name##_f32) K(file, name##_f16) K(file, name##_bf16)

#define KC_EACH_HALF(K, file, name) K(file, name##_f16) K(file, name##_bf16)

#define KC_KERNELS_attention(K)                       \
  KC_EACH_TYPE(K, attention, kc_attention)            \
  KC_EACH_TYPE(K, attention, kc_attention_queries)    \
  KC_EACH_TYPE(K, attention, kc_attention_keys)       \
  KC_EACH_TYPE(K, attention, kc_attention_wide)       \
  KC_EACH_TYPE(K, attention, kc_attention_wide_queries) \
  KC_EACH_TYPE(K, attention, kc_attention_wide_keys)
/* On tensor cores: compute capability 7.5 on. The number is the head width. _texts: forward where there are texts. */
#define KC_KERNELS_attention_mma(K)                     \
  KC_EACH_HALF(K, attention_mma, kc_attention_mma32)         \
  KC_EACH_HALF(K, attention_mma, kc_attention_mma32_texts)   \
  KC_EACH_HALF(K, attention_mma, kc_attention_mma32_queries) \
  KC_EACH_HALF(K, attention_mma, kc_attention_mma32_keys)    \
  KC_EACH_HALF(K, attention_mma, kc_attention_mma64)         \
  KC_EACH_HALF(K, attention_mma, kc_attention_mma64_texts)   \
  KC_EACH_HALF(K, attention_mma, kc_attention_mma64_queries) \
  KC_EACH_HALF(K, attention_mma, kc_attention_mma64_keys)
#define KC_KERNELS_norm(K)                        \
  K(norm, kc_add_sums)                            \
  KC_EACH_TYPE(K, norm, kc_column_sums)           \
  KC_EACH_TYPE(K, norm, kc_residual_norm)         \
  K(norm, kc_residual_norm_f16_f32)               \
  K(norm, kc_residual_norm_bf16_f32)              \
  KC_EACH_TYPE(K, norm, kc_norm_backward)         \
  K(norm, kc_norm_backward_f16_f32)               \
  K(norm, kc_norm_backward_bf16_f32)
#define KC_KERNELS_embedding(K)                     \
  KC_EACH_TYPE(K, embedding, kc_embedding)          \
  KC_EACH_TYPE(K, embedding, kc_table_gradient)     \
  KC_EACH_TYPE(K, embedding, kc_gather_rows)        \
  KC_EACH_TYPE(K, embedding, kc_scatter_rows)       \
  K(embedding, kc_pool_spans_f32)                   \
  K(embedding, kc_pool_gradient_f32)
#define KC_KERNELS_elementwise(K)                       \
  K(elementwise, kc_fill_f32)                           \
  KC_EACH_TYPE(K, elementwise, kc_activate)             \
  KC_EACH_TYPE(K, elementwise, kc_activate_backward)    \
  KC_EACH_TYPE(K, elementwise, kc_dropout)              \
  K(elementwise, kc_convert_f16_from_f32)               \
  K(elementwise, kc_convert_f32_from_f16)               \
  K(elementwise, kc_convert_bf16_from_f32)              \
  K(elementwise, kc_convert_f32_from_bf16)              \
  K(elementwise, kc_convert_f16_from_bf16)              \
  K(elementwise, kc_convert_bf16_from_f16)
#define KC_KERNELS_loss(K)        \
  K(loss, kc_cross_entropy_f32)   \
  K(loss, kc_classification_loss) \
  K(loss, kc_sum_losses)          \
  K(loss, kc_softmax_f32)
#define KC_KERNELS_optimizer(K)   \
  K(optimizer, kc_update_start)   \
  K(optimizer, kc_squares)        \
  K(optimizer, kc_update_prepare) \
  KC_EACH_TYPE(K, optimizer, kc_adamw) \
  K(optimizer, kc_lerp_f32)

#define KC_KERNELS_selftest(K)    \
  K(selftest, kc_selftest_common) \
  K(selftest, kc_selftest_matrix) \
  K(selftest, kc_selftest_bf16)

#define KC_KERNELS(K)       \
  KC_KERNELS_attention(K)   \
  KC_KERNELS_attention_mma(K) \
  KC_KERNELS_norm(K)        \
  KC_KERNELS_embedding(K)   \
  KC_KERNELS_elementwise(K) \
  KC_KERNELS_loss(K)        \
  KC_KERNELS_optimizer(K)   \
  KC_KERNELS_selftest(K)

#define KC_KERNEL_ID(file, name) KC_K_##name,
enum { KC_KERNELS(KC_KERNEL_ID) KC_KERNEL_COUNT };
#undef KC_KERNEL_ID
#endif
