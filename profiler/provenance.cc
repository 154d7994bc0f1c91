#include "profiler/provenance.h"

#include <array>
#include <ctime>
#include <fstream>
#include <thread>
#include <vector>

#include "profiler/accelerators.h"

namespace shardlab {

std::string processor_name(std::istream& cpuinfo) {
  for (std::string line; std::getline(cpuinfo, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

std::string describe_processor() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  return processor_name(cpuinfo) + ", " + std::to_string(std::thread::hardware_concurrency()) +
         " cores";
}

std::string describe_device(const DeviceSpec& device) {
  if (device.kind == "cpu") return describe_processor();
  const std::vector<std::string> names = find_accelerators().devices;
  const auto which = static_cast<std::size_t>(device.ordinal);
  return which < names.size() ? names[which] : device.kind;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

}  // namespace shardlab
