// test_kernels.cpp - every kernel's own source and the operations that launch it, on the CPU, against references in
// double precision.
//   test_kernels [FILE...]      all cases, or those of these kernel files
//   test_kernels --barriers     then also takes each barrier out of each kernel in turn: some case must then fail
//   test_kernels --one-order    only with shuffled threads, not also in their order
//   test_kernels --write FILE   writes selftest_expected.h
//   test_kernels --distances    also says how far the results were from the references
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>

#include "launch_table.h"
#include "test_support.h"

static bool run_case(const test_case &test, uint64_t seed, bool quiet, unsigned *compared) {
  checks run(seed);
  run.quiet = quiet;
  test.run(run);
  run.is_true(run.device.entered == 0, "every call is left");
  run.is_true(run.compared > 1, "something was compared");
  *compared += run.compared;
  if (run.failed() && !quiet) std::printf("FAILED %s, seed %llu\n", test.name.c_str(), (unsigned long long)seed);
  return !run.failed();
}

static int run_all(const std::vector<std::string> &files, bool report, bool one_order) {
  unsigned passed = 0, failed = 0, compared = 0;
  for (const test_case &test : all_cases()) {
    if (!files.empty() && std::find(files.begin(), files.end(), test.file) == files.end()) continue;
    for (uint64_t seed = one_order ? 1 : 0; seed <= 1; seed++)
      (run_case(test, seed, false, &compared) ? passed : failed)++;
  }
  if (report) report_distances();
  std::printf("kernels: %u comparisons; %u passed, %u failed\n", compared, passed, failed);
  return failed ? 1 : 0;
}

// ---- barriers ----

static std::string kernel_of(const std::string &barrier) { return barrier.substr(barrier.find(' ') + 1); }

static bool ends_with(const std::string &name, const std::string &end) {
  return name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

// The cases of a kernel's file whose number types its name ends with; all of them for a kernel without a type in its
// name.
static bool concerns(const test_case &test, const kc_emulated_kernel *kernel) {
  if (std::strcmp(test.file, kernel->file) != 0) return false;
  const std::string name = kernel->name;
  const bool typed = ends_with(name, "f32") || ends_with(name, "f16");
  return !typed || test.kind[0] == 0 || ends_with(name, std::string("_") + test.kind);
}

// What a process that was forked for a barrier does: 0 if all cases still pass. Without its barrier a kernel may do
// anything.
static int run_without(const std::string &barrier) {
  const kc_emulated_kernel *kernel = kc_emulated_find(kernel_of(barrier).c_str());
  unsigned compared = 0;
  if (std::freopen("/dev/null", "w", stderr) == nullptr) return 0;
  alarm(60);
  kc_emulated_drop(barrier.c_str());
  for (uint64_t seed = 1; seed <= 4; seed++) {
    for (const test_case &test : all_cases())
      if (concerns(test, kernel) && !run_case(test, seed, true, &compared)) return 1;
  }
  return 0;
}

static pid_t start_without(const std::string &barrier) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) _exit(run_without(barrier));
  return child;
}

// All barriers that ran so far, two processes at a time.
static int run_barriers() {
  static char names[4096][160];
  const size_t count = kc_emulated_barriers(names, 4096);
  std::vector<std::string> sorted(names, names + count);
  std::sort(sorted.begin(), sorted.end());
  std::map<pid_t, std::string> running;
  unsigned passed = 0, failed = 0;
  for (size_t next = 0; next < count || !running.empty();) {
    if (next < count && running.size() < 2) {
      running[start_without(sorted[next])] = sorted[next];
      next++;
      continue;
    }
    int status = 0;
    const pid_t ended = wait(&status);
    if (ended < 0) return 1;
    const bool missed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    (missed ? failed : passed)++;
    if (missed) std::printf("FAILED  without the barrier %s all cases pass\n", running[ended].c_str());
    running.erase(ended);
  }
  std::printf("barriers taken out one by one: %u passed, %u failed\n", passed, failed);
  return failed || count == 0 ? 1 : 0;
}

int main(int count, char **arguments) {
  add_elementwise_cases();
  add_linear_cases();
  add_norm_cases();
  add_embedding_cases();
  add_loss_cases();
  add_optimizer_cases();
  add_attention_cases();
  add_attention_text_cases();
  add_selftest_cases();
  std::vector<std::string> files;
  bool report = false, barriers = false, one_order = false;
  for (int i = 1; i < count; i++) {
    if (std::strcmp(arguments[i], "--barriers") == 0)
      barriers = true;
    else if (std::strcmp(arguments[i], "--one-order") == 0)
      one_order = true;
    else if (std::strcmp(arguments[i], "--write") == 0)
      return i + 1 < count && write_selftest(arguments[i + 1]) ? 0 : 2;
    else if (std::strcmp(arguments[i], "--distances") == 0)
      report = true;
    else
      files.push_back(arguments[i]);
  }
  const int status = run_all(files, report, one_order);
  return status == 0 && barriers ? run_barriers() : status;
}
