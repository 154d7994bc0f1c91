#include "profiler/conditions.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <unistd.h>

#include <fmt/format.h>

#include "core/shared_library.h"

namespace shardlab {
namespace {

constexpr const char* kNotTold = "not told by this system";

std::optional<std::string> first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line.empty()) return std::nullopt;
  return line;
}

/// One value of all processors, or all that there are.
std::string governors(const std::filesystem::path& root) {
  std::set<std::string> found;
  std::error_code absent;
  for (const auto& each :
       std::filesystem::directory_iterator(root / "sys/devices/system/cpu", absent)) {
    if (const auto line = first_line(each.path() / "cpufreq/scaling_governor")) found.insert(*line);
  }
  if (found.empty()) return kNotTold;
  return fmt::format("{}", fmt::join(found, ", "));
}

std::string frequencies(const std::filesystem::path& root) {
  std::ifstream cpuinfo(root / "proc/cpuinfo");
  std::vector<double> megahertz;
  for (std::string line; std::getline(cpuinfo, line);) {
    double value = 0;
    const std::size_t colon = line.find(": ");
    if (!line.starts_with("cpu MHz") || colon == std::string::npos) continue;
    if (sscanf(line.c_str() + colon, ": %lf", &value) == 1) megahertz.push_back(value);
  }
  if (megahertz.empty()) return kNotTold;
  const auto [least, most] = std::ranges::minmax(megahertz);
  return least == most ? fmt::format("{:.0f} MHz", least)
                       : fmt::format("{:.0f} to {:.0f} MHz", least, most);
}

/// What NVML says of one device. Constants and structs: nvml.h of CUDA 12 and 13.
class Nvml {
 public:
  Nvml(const SharedLibrary& library, void* device) : library_(library), device_(device) {}

  [[nodiscard]] std::string clocks() const {
    constexpr unsigned kSm = 1, kMemory = 2;
    unsigned sm = 0, most = 0, memory = 0;
    if (!get("nvmlDeviceGetClockInfo", kSm, &sm)) return kNotTold;
    std::string text = fmt::format("SM {} MHz", sm);
    if (get("nvmlDeviceGetMaxClockInfo", kSm, &most)) text += fmt::format(" of {}", most);
    if (get("nvmlDeviceGetClockInfo", kMemory, &memory))
      text += fmt::format(", memory {} MHz", memory);
    return text;
  }
  [[nodiscard]] std::string power_state() const {
    unsigned state = 0;
    return get("nvmlDeviceGetPerformanceState", &state) ? fmt::format("P{}", state) : kNotTold;
  }
  [[nodiscard]] std::string held_down_by() const {
    constexpr std::array<const char*, 9> kReasons{
        "idle", "a clock setting", "the power cap",   "hardware slow-down", "sync boost",
        "heat", "heat (hardware)", "the power brake", "the display"};
    unsigned long long bits = 0;
    if (!get("nvmlDeviceGetCurrentClocksEventReasons", &bits) &&
        !get("nvmlDeviceGetCurrentClocksThrottleReasons", &bits)) {
      return kNotTold;
    }
    std::vector<std::string> found;
    for (std::size_t i = 0; i < kReasons.size(); ++i) {
      if ((bits >> i & 1) != 0) found.emplace_back(kReasons.at(i));
    }
    return found.empty() ? "nothing" : fmt::format("{}", fmt::join(found, ", "));
  }
  [[nodiscard]] std::string temperature() const {
    constexpr unsigned kGpu = 0;
    unsigned celsius = 0;
    return get("nvmlDeviceGetTemperature", kGpu, &celsius) ? fmt::format("{} °C", celsius)
                                                           : kNotTold;
  }
  [[nodiscard]] std::string power() const {
    unsigned milliwatts = 0, limit = 0;
    if (!get("nvmlDeviceGetPowerUsage", &milliwatts)) return kNotTold;
    std::string text = fmt::format("{:.0f} W", milliwatts * 1e-3);
    if (get("nvmlDeviceGetEnforcedPowerLimit", &limit))
      text += fmt::format(" of {:.0f}", limit * 1e-3);
    return text;
  }
  [[nodiscard]] std::string other_processes() const {
    struct Process {
      unsigned pid;
      unsigned long long memory;
      unsigned instance, compute_instance;
    };
    std::array<Process, 64> processes{};
    auto count = static_cast<unsigned>(processes.size());
    if (!get("nvmlDeviceGetComputeRunningProcesses_v3", &count, processes.data())) return kNotTold;
    const auto own = static_cast<unsigned>(getpid());
    const auto others = std::count_if(processes.begin(), processes.begin() + count,
                                      [&](const Process& each) { return each.pid != own; });
    return others == 0 ? "none" : fmt::format("{}", others);
  }

 private:
  template <typename... Arguments>
  [[nodiscard]] bool get(const char* name, Arguments... arguments) const {
    return library_.call(name, device_, arguments...);
  }

  const SharedLibrary& library_;
  void* device_;
};

/// NVML counts devices in another order than CUDA, and all of them; the bus tells which is which.
void* find_device(int ordinal, const SharedLibrary& driver, const SharedLibrary& nvml) {
  std::array<char, 32> bus{};
  int device = 0;
  void* found = nullptr;
  const bool known =
      driver.call("cuInit", 0U) && driver.call("cuDeviceGet", &device, ordinal) &&
      driver.call("cuDeviceGetPCIBusId", bus.data(), static_cast<int>(bus.size()), device) &&
      nvml.call("nvmlDeviceGetHandleByPciBusId_v2", static_cast<const char*>(bus.data()), &found);
  return known ? found : nullptr;
}

}  // namespace

std::vector<Reading> processor_readings(const std::string& root) {
  const std::filesystem::path top(root);
  return {{"CPU governor", governors(top)},
          {"CPU frequency", frequencies(top)},
          {"load average", first_line(top / "proc/loadavg").value_or(kNotTold)}};
}

std::vector<Reading> accelerator_readings(int ordinal, std::span<const std::string> driver,
                                          std::span<const std::string> nvml) {
  const std::string name = fmt::format("GPU {} ", ordinal);
  const SharedLibrary cuda(driver, SharedLibrary::Stay::kForGood);
  const SharedLibrary library(nvml, SharedLibrary::Stay::kForGood);
  const auto unknown = [&](const std::string& why) {
    return std::vector<Reading>{{name + "clocks, power state and other users", "not told: " + why}};
  };
  if (!cuda.open()) return unknown(cuda.problem());
  if (!library.open()) return unknown(library.problem());
  if (!library.call("nvmlInit_v2")) return unknown("nvmlInit_v2 failed");
  void* const device = find_device(ordinal, cuda, library);
  if (device == nullptr) return unknown("NVML does not know the device");
  const Nvml from(library, device);
  return {{name + "clocks", from.clocks()},
          {name + "power state", from.power_state()},
          {name + "clocks held down by", from.held_down_by()},
          {name + "temperature", from.temperature()},
          {name + "power", from.power()},
          {name + "other processes", from.other_processes()}};
}

std::vector<Reading> read_conditions(const Cluster& cluster) {
  static const std::array<std::string, 1> kDriver{"libcuda.so.1"}, kNvml{"libnvidia-ml.so.1"};
  std::vector<Reading> found = processor_readings();
  for (const DeviceSpec& device : cluster.devices) {
    if (device.kind == "cpu") continue;
    const auto more = accelerator_readings(device.ordinal, kDriver, kNvml);
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

std::vector<Condition> conditions(const std::vector<Reading>& before,
                                  const std::vector<Reading>& after) {
  std::vector<Condition> result;
  for (const auto& [what, value] : before) {
    const auto later = std::ranges::find(after, what, &Reading::what);
    result.push_back({what, value, later == after.end() ? "not told" : later->value});
  }
  return result;
}

}  // namespace shardlab
