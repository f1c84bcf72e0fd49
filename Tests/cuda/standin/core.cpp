// core.cpp - faults, violations, living handles.
#include "core.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <unordered_map>
#include <vector>

namespace standin {
namespace {
struct fault {
  std::string entry;
  long left;
  int error;
};

struct state {
  std::recursive_mutex mutex;
  std::vector<fault> faults;
  std::map<std::string, long> calls;
  std::map<std::string, long long> settings = {
      {"driver", 13000},     {"devices", 2},      {"capability", 90}, {"memory", 8LL << 30}, {"sticky_after", 0},
      {"sticky_error", 700}, {"exact_shapes", 0}, {"builtins", 0},    {"nvrtc_oldest", 0},   {"nvrtc_newest", 0},
  };
  std::vector<std::string> violations;
  std::unordered_map<const void *, std::string> alive;
  std::unordered_map<const void *, std::string> dead;
};

// Never destroyed: exit handlers of others may still call.
state &all() {
  static state *only = new state;
  return *only;
}

void read_environment() {
  const char *text = std::getenv("STANDIN");
  if (!text) return;
  std::string rest = text;
  while (!rest.empty()) {
    size_t end = rest.find(',');
    std::string item = rest.substr(0, end);
    rest = end == std::string::npos ? "" : rest.substr(end + 1);
    char name[64];
    long nth;
    int error;
    size_t equal = item.find('=');
    if (std::sscanf(item.c_str(), "fail=%63[^:]:%ld:%d", name, &nth, &error) == 3) {
      standin_fail(name, nth, error);
    } else if (equal == std::string::npos ||
               standin_set(item.substr(0, equal).c_str(), std::atoll(item.c_str() + equal + 1))) {
      violation("STANDIN does not know %s", item.c_str());
    }
  }
}

struct reader {
  reader() { read_environment(); }
} reads_at_load;
}  // namespace

std::recursive_mutex &lock() { return all().mutex; }

int entered(const char *entry) {
  state &s = all();
  s.calls[entry]++;
  for (size_t i = 0; i < s.faults.size(); i++) {
    fault &f = s.faults[i];
    if (f.entry != entry || --f.left > 0) continue;
    int error = f.error;
    s.faults.erase(s.faults.begin() + static_cast<long>(i));
    return error;
  }
  return 0;
}

void violation(const char *format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "stand-in driver: %s\n", line);
  all().violations.push_back(line);
}

long long setting(const char *what) { return all().settings[what]; }

void created(const void *handle, const char *kind) {
  all().alive[handle] = kind;
  all().dead.erase(handle);
}

void destroyed(const void *handle, const char *kind) {
  all().alive.erase(handle);
  all().dead[handle] = kind;
}

bool is_alive(const void *handle, const char *kind, const char *entry) {
  auto found = all().alive.find(handle);
  if (found != all().alive.end() && found->second == kind) return true;
  auto gone = all().dead.find(handle);
  const char *is = found != all().alive.end() ? found->second.c_str()
                   : gone != all().dead.end() ? "something that was destroyed"
                                              : "nothing";
  violation("%s was given %s %p, which is %s", entry, kind, handle, is);
  return false;
}
}  // namespace standin

using namespace standin;

extern "C" __attribute__((visibility("default"))) void standin_fail(const char *entry, long nth, int error) {
  std::lock_guard<std::recursive_mutex> guard(lock());
  all().faults.push_back({entry, nth, error});
}

extern "C" __attribute__((visibility("default"))) int standin_set(const char *what, long long value) {
  std::lock_guard<std::recursive_mutex> guard(lock());
  auto found = all().settings.find(what);
  if (found == all().settings.end()) return 1;
  found->second = value;
  return 0;
}

namespace standin {
void heal_contexts();
}

extern "C" __attribute__((visibility("default"))) void standin_clear(void) {
  std::lock_guard<std::recursive_mutex> guard(lock());
  all().faults.clear();
  all().settings["sticky_after"] = 0;
  heal_contexts();
}

extern "C" __attribute__((visibility("default"))) long standin_calls(const char *entry) {
  std::lock_guard<std::recursive_mutex> guard(lock());
  return all().calls[entry];
}

extern "C" __attribute__((visibility("default"))) long standin_violations(char *text, size_t capacity) {
  std::lock_guard<std::recursive_mutex> guard(lock());
  std::string lines;
  for (const std::string &line : all().violations) lines += line + "\n";
  if (text && capacity) std::snprintf(text, capacity, "%s", lines.c_str());
  return static_cast<long>(all().violations.size());
}

extern "C" __attribute__((visibility("default"))) long standin_live(char *text, size_t capacity) {
  std::lock_guard<std::recursive_mutex> guard(lock());
  std::map<std::string, long> kinds;
  for (const auto &each : all().alive) kinds[each.second]++;
  std::string line;
  for (const auto &kind : kinds) line += std::to_string(kind.second) + " " + kind.first + ", ";
  if (text && capacity) std::snprintf(text, capacity, "%s", line.c_str());
  return static_cast<long>(all().alive.size());
}
