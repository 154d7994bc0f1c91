#include "cli/accelerators.h"

#include <array>
#include <cstdint>
#include <dlfcn.h>
#include <utility>

#include <fmt/format.h>

namespace shardlab {
namespace {

/// A shared library for as long as it is asked; the first of `names` that opens.
class Library {
 public:
  explicit Library(std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (handle_ == nullptr) handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (handle_ != nullptr) return;
    const char* error = dlerror();
    problem_ = error == nullptr ? "not found" : error;
  }
  ~Library() {
    if (handle_ != nullptr) dlclose(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  [[nodiscard]] bool open() const { return handle_ != nullptr; }
  [[nodiscard]] const std::string& problem() const { return problem_; }

  /// Calls a C function that returns 0 when all is well; false when there is none or it fails.
  template <typename... Arguments>
  [[nodiscard]] bool call(const char* name, Arguments... arguments) const {
    auto* const function = reinterpret_cast<int (*)(Arguments...)>(dlsym(handle_, name));
    return function != nullptr && function(arguments...) == 0;
  }

 private:
  void* handle_ = nullptr;
  std::string problem_;
};

void ask_driver(const Library& driver, Accelerators& found) {
  int version = 0, count = 0;
  if (!driver.call("cuInit", 0u) || !driver.call("cuDriverGetVersion", &version)) {
    found.problem = "the driver is there, but finds no device (cuInit failed)";
    return;
  }
  found.driver = fmt::format("{}.{}", version / 1000, version % 1000 / 10);
  if (!driver.call("cuDeviceGetCount", &count)) return;
  for (int i = 0; i < count; ++i) {
    int device = 0;
    std::array<char, 128> name{};
    const bool named =
        driver.call("cuDeviceGet", &device, i) &&
        driver.call("cuDeviceGetName", name.data(), static_cast<int>(name.size()), device);
    found.devices.emplace_back(named ? name.data() : "?");
  }
}

}  // namespace

Accelerators find_accelerators() {
  Accelerators found;
  const Library driver({"libcuda.so.1"});
  if (driver.open()) {
    ask_driver(driver, found);
  } else {
    found.problem = driver.problem();
  }
  const Library cupti({"libcupti.so", "libcupti.so.13", "libcupti.so.12"});
  std::uint32_t version = 0;
  if (cupti.open() && cupti.call("cuptiGetVersion", &version)) {
    found.cupti = fmt::format("{}", version);
  } else {
    found.cupti_problem = cupti.open() ? "cuptiGetVersion failed" : cupti.problem();
  }
  return found;
}

}  // namespace shardlab
