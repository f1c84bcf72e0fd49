#define KC_SOURCE "attention.cu"
#define KC_LIST KC_KERNELS_attention
#define KC_TABLE kc_table_attention
#include "kernel_table.h"
