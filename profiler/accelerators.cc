#include "profiler/accelerators.h"

#include <array>
#include <cstdint>

#include <fmt/format.h>

#include "core/shared_library.h"
#include "profiler/cupti_libraries.h"

namespace shardlab {
namespace {

void ask_driver(const SharedLibrary& driver, Accelerators& found) {
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
  const std::array<std::string, 1> driver_name{"libcuda.so.1"};
  const SharedLibrary driver(driver_name, SharedLibrary::Stay::kForGood);
  if (driver.open()) {
    ask_driver(driver, found);
  } else {
    found.problem = driver.problem();
  }
  const SharedLibrary cupti(cupti_libraries(), SharedLibrary::Stay::kForGood);
  std::uint32_t version = 0;
  if (cupti.open() && cupti.call("cuptiGetVersion", &version)) {
    found.cupti = fmt::format("{}", version);
  } else {
    found.cupti_problem = cupti.open() ? "cuptiGetVersion failed" : cupti.problem();
  }
  return found;
}

}  // namespace shardlab
