// nvrtc.cpp - libnvrtc: "compiles" a text to a line that says what it was made from. Headers are resolved, as the real
// one does.
#include "core.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <string>

// MAJOR, MINOR: of this library.
struct _nvrtcProgram {
  std::string text, name, log, image;
  std::map<std::string, std::string> headers;
};

namespace {
using namespace standin;
constexpr int INVALID_INPUT = 3, INVALID_PROGRAM = 4, INVALID_OPTION = 5;
#if MAJOR == 12
constexpr int architectures[] = {50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90, 100, 101, 120};
#else
constexpr int architectures[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};
#endif

bool is_known(int architecture) {
  long long oldest = setting("nvrtc_oldest"), newest = setting("nvrtc_newest");
  if ((oldest && architecture < oldest) || (newest && architecture > newest)) return false;
  for (int each : architectures) {
    if (each == architecture) return true;
  }
  return false;
}

// The text with its #include lines followed; false, with a line in the log, if one is missing.
bool gather(nvrtcProgram program, const std::string &text, const std::string &name, std::string &all, int depth) {
  size_t at = 0;
  int line = 1;
  all += text;
  while (at < text.size()) {
    size_t end = text.find('\n', at);
    std::string row = text.substr(at, end == std::string::npos ? end : end - at);
    char wanted[128];
    if (std::sscanf(row.c_str(), " # include \"%127[^\"]\"", wanted) == 1) {
      auto found = program->headers.find(wanted);
      // Without NVRTC, device.cuh takes the emulation's header instead: a line the compiler does not reach.
      if (found == program->headers.end() && std::string(wanted).find("emulation") == std::string::npos) {
        program->log = name + "(" + std::to_string(line) + "): catastrophic error: cannot open source file \"" +
                       wanted + "\"\n1 catastrophic error detected in the compilation of \"" + program->name + "\".\n";
        return false;
      }
      if (found != program->headers.end() && depth < 8 && !gather(program, found->second, wanted, all, depth + 1))
        return false;
    }
    at = end == std::string::npos ? text.size() : end + 1;
    line++;
  }
  return true;
}

unsigned long long hash_of(const std::string &text) {
  unsigned long long hash = 1469598103934665603ull;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211ull;
  return hash;
}
}  // namespace

#pragma GCC visibility push(default)
extern "C" {
#define ENTER STANDIN_ENTRY(nvrtcResult)

nvrtcResult nvrtcVersion(int *major, int *minor) {
  ENTER;
  *major = MAJOR;
  *minor = MINOR;
  return NVRTC_SUCCESS;
}

const char *nvrtcGetErrorString(nvrtcResult result) {
  return result == NVRTC_ERROR_COMPILATION                 ? "NVRTC_ERROR_COMPILATION"
         : result == NVRTC_ERROR_BUILTIN_OPERATION_FAILURE ? "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE"
         : result == NVRTC_SUCCESS                         ? "NVRTC_SUCCESS"
                                                           : "NVRTC_ERROR";
}

nvrtcResult nvrtcGetNumSupportedArchs(int *count) {
  ENTER;
  *count = 0;
  for (int each : architectures) *count += is_known(each);
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetSupportedArchs(int *list) {
  ENTER;
  for (int each : architectures) {
    if (is_known(each)) *list++ = each;
  }
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcCreateProgram(nvrtcProgram *program, const char *text, const char *name, int headers,
                               const char *const *texts, const char *const *names) {
  ENTER;
  if (!text || !name || headers < 0) return INVALID_INPUT;
  auto *made = new _nvrtcProgram{text, name, "", "", {}};
  for (int i = 0; i < headers; i++) made->headers[names[i]] = texts[i];
  *program = made;
  created(made, "program");
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcDestroyProgram(nvrtcProgram *program) {
  ENTER;
  if (!is_alive(*program, "program", __func__)) return INVALID_PROGRAM;
  destroyed(*program, "program");
  delete *program;
  *program = nullptr;
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int count, const char *const *options) {
  std::lock_guard<std::recursive_mutex> guard(lock());
  if (int wanted = entered(__func__)) {
    program->log = program->name + "(7): error: identifier \"wanted_by_the_test\" is undefined\n\n1 error detected.\n";
    return wanted;
  }
  if (!is_alive(program, "program", __func__)) return INVALID_PROGRAM;
  int architecture = 0;
  std::string all;
  for (int i = 0; i < count; i++) {
    all += std::string(options[i]) + "\n";
    if (std::sscanf(options[i], "--gpu-architecture=sm_%d", &architecture) == 1) continue;
    if (std::strncmp(options[i], "--std=", 6) != 0) return INVALID_OPTION;
  }
  if (!is_known(architecture)) {
    program->log = "nvrtc: error: invalid value for --gpu-architecture (-arch)\n";
    return INVALID_OPTION;
  }
  std::string builtins = "libnvrtc-builtins.so." + std::to_string(MAJOR) + "." + std::to_string(MINOR);
  if (setting("builtins") && !dlopen(builtins.c_str(), RTLD_NOW | RTLD_NOLOAD)) {
    program->log = "nvrtc: error: failed to open " + builtins + ".\n";
    return NVRTC_ERROR_BUILTIN_OPERATION_FAILURE;
  }
  if (!gather(program, program->text, program->name, all, 0)) return NVRTC_ERROR_COMPILATION;
  char image[256];
  std::snprintf(image, sizeof image, "STANDIN-CUBIN %d %s %llx\n", architecture, program->name.c_str(), hash_of(all));
  program->image.assign(image, std::strlen(image) + 1);  // the reader of an image does not know its length
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t *size) {
  ENTER;
  if (!is_alive(program, "program", __func__)) return INVALID_PROGRAM;
  *size = program->log.size() + 1;
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char *log) {
  ENTER;
  if (!is_alive(program, "program", __func__)) return INVALID_PROGRAM;
  std::memcpy(log, program->log.c_str(), program->log.size() + 1);
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t *size) {
  ENTER;
  if (!is_alive(program, "program", __func__)) return INVALID_PROGRAM;
  *size = program->image.size();
  return program->image.empty() ? INVALID_PROGRAM : NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char *image) {
  ENTER;
  if (!is_alive(program, "program", __func__)) return INVALID_PROGRAM;
  std::memcpy(image, program->image.data(), program->image.size());
  return NVRTC_SUCCESS;
}
}  // extern "C"
#pragma GCC visibility pop
