/* sources.c - the texts of kernels/, for the run-time compiler: a line in FILES for each, and its #embed below. */
#include "device.h"

#define FILES(FILE) \
  FILE(attention, "attention.cu") \
  FILE(attention_mma, "attention_mma.cu") \
  FILE(elementwise, "elementwise.cu") \
  FILE(embedding, "embedding.cu") \
  FILE(loss, "loss.cu") \
  FILE(norm, "norm.cu") \
  FILE(optimizer, "optimizer.cu") \
  FILE(selftest, "selftest.cu") \
  FILE(device, "device.cuh") \
  FILE(parameters, "parameters.h")

#if defined(__has_embed) && defined(__clang__)
/* C23, an extension before it. The object then depends on these files, and is made anew when one changes. */
#pragma clang diagnostic ignored "-Wc23-extensions"
static const char text_attention[] = {
#embed "kernels/attention.cu"
, 0};
static const char text_attention_mma[] = {
#embed "kernels/attention_mma.cu"
, 0};
static const char text_elementwise[] = {
#embed "kernels/elementwise.cu"
, 0};
static const char text_embedding[] = {
#embed "kernels/embedding.cu"
, 0};
static const char text_loss[] = {
#embed "kernels/loss.cu"
, 0};
static const char text_norm[] = {
#embed "kernels/norm.cu"
, 0};
static const char text_optimizer[] = {
#embed "kernels/optimizer.cu"
, 0};
static const char text_selftest[] = {
#embed "kernels/selftest.cu"
, 0};
static const char text_device[] = {
#embed "kernels/device.cuh"
, 0};
static const char text_parameters[] = {
#embed "kernels/parameters.h"
, 0};
#else
/* For compilers without #embed: the assembler takes the file, from the folder KERNELS. */
#define INCLUDED(id, file) \
  __asm__(".section .rodata\ntext_" #id ":\n.incbin \"" KERNELS "/" file "\"\n.byte 0\n.previous\n"); \
  extern const char text_##id[];
FILES(INCLUDED)
#endif

#define ENTRY(id, file) {file, text_##id},
const kc_source kc_sources[] = {FILES(ENTRY)};
const size_t kc_source_count = sizeof kc_sources / sizeof kc_sources[0];
_Static_assert(sizeof kc_sources / sizeof kc_sources[0] <= KC_FILE_LIMIT, "KC_FILE_LIMIT is too small");
