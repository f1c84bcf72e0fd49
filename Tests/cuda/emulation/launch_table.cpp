// launch_table.cpp - the tables of all kernel files as one, in the order of kernel_list.h.
#include "launch_table.h"

#include <cstring>

#include "kernel_list.h"

#define TABLE(file) extern const kc_emulated_kernel kc_table_##file[];
#define NAME(file) kc_table_##file,
#define FILES(F) F(attention) F(attention_mma) F(norm) F(embedding) F(elementwise) F(loss) F(optimizer) F(selftest)
FILES(TABLE)
static const kc_emulated_kernel *const tables[] = {FILES(NAME)};

extern "C" const kc_emulated_kernel *kc_emulated_at(int i) {
  for (const kc_emulated_kernel *table : tables) {
    for (; table->name; table++, i--)
      if (i == 0) return table;
  }
  return nullptr;
}

extern "C" const kc_emulated_kernel *kc_emulated_find(const char *name) {
  for (const kc_emulated_kernel *table : tables) {
    for (; table->name; table++)
      if (std::strcmp(table->name, name) == 0) return table;
  }
  return nullptr;
}
