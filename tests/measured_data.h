#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace shardlab {

/// Where `name` of the measured data is: below $SHARDLAB_DATA, or shared/data beside the checkout.
/// Empty where it is not: skip the test then, and say so.
inline std::string measured_data(const std::string& name) {
  namespace fs = std::filesystem;
  const char* given = std::getenv("SHARDLAB_DATA");
  const char* source = std::getenv("SHARDLAB_SOURCE");
  const fs::path beside = fs::path(source != nullptr ? source : ".") / ".." / "shared" / "data";
  const fs::path path = (given != nullptr ? fs::path(given) : beside) / name;
  std::error_code ignored;
  return fs::exists(path, ignored) ? path.string() : "";
}

}  // namespace shardlab
