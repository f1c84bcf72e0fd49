#define KC_SOURCE "attention_mma.cu"
#define KC_LIST KC_KERNELS_attention_mma
#define KC_TABLE kc_table_attention_mma
#include "kernel_table.h"
