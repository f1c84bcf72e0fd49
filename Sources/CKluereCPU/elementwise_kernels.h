/* elementwise_kernels.h - all kernels, for the instruction set whose simd_*.h was included before, and their table. */
#include "elementwise.h"

#include "activation_kernel.h"
#include "dropout_kernel.h"
#include "norm_kernel.h"
#include "embedding_kernel.h"
#include "tile_kernel.h"
#include "attention_kernel.h"
#include "loss_kernel.h"
#include "optimizer_kernel.h"

#define KK_ELEMENTWISE_TABLE                                                                                     \
  {                                                                                                              \
    .activate = {NULL, kk_gelu_piece, kk_tanh_piece, kk_gelu_new_piece, kk_relu_piece},                          \
    .activate_backward = {NULL, kk_gelu_backward_piece, kk_tanh_backward_piece, kk_gelu_new_backward_piece,      \
                          kk_relu_backward_piece},                                                               \
    .dropout = kk_dropout_piece,                                                                                 \
    .residual_norm = kk_residual_norm_piece, .norm_backward = kk_norm_backward_piece,                            \
    .add_parts = kk_add_parts_piece, .embedding = kk_embedding_piece, .scatter_add = kk_scatter_add_piece,       \
    .attention_scratch = kk_attention_scratch, .attention = kk_attention_forward_piece,                          \
    .attention_backward = kk_attention_backward_piece, .cross_entropy = kk_cross_entropy_piece,                  \
    .softmax = kk_softmax_piece, .sum_of_squares = kk_sum_of_squares_piece, .adamw = kk_adamw_piece,             \
    .fill = kk_fill_piece, .lerp = kk_lerp_piece                                                                 \
  }
