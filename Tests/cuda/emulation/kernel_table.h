// kernel_table.h - one kernel file as host code, and the table of its kernels. Included by table_*.cpp, a file for each
// kernel file: KC_SOURCE is its name, KC_LIST its part of kernel_list.h, KC_TABLE the table's name. Not for other
// files.
#include KC_SOURCE

#include "kernel_list.h"
#include "launch_table.h"

namespace {
template <auto kernel>
struct caller;
template <class P, void (*kernel)(P)>
struct caller<kernel> {
  enum : size_t { bytes = sizeof(P) };
  static void run(const void *parameters) {
    P p;
    std::memcpy(&p, parameters, sizeof p);
    kernel(p);
  }
};
} // namespace

#define ENTRY(file, name) {#name, #file, caller<name>::bytes, name##_max_threads, caller<name>::run},
extern const kc_emulated_kernel KC_TABLE[];
const kc_emulated_kernel KC_TABLE[] = {KC_LIST(ENTRY){nullptr, nullptr, 0, 0, nullptr}};
