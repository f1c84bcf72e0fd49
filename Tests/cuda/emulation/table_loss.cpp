#define KC_SOURCE "loss.cu"
#define KC_LIST KC_KERNELS_loss
#define KC_TABLE kc_table_loss
#include "kernel_table.h"
