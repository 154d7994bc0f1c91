#include "core/early_stop.h"

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {

std::string to_string(StopMethod method) {
  switch (method) {
    case StopMethod::kSuccessiveHalving:
      return "successive_halving";
    case StopMethod::kAsha:
      return "asha";
    case StopMethod::kHyperband:
      return "hyperband";
  }
  return "?";
}

StopMethod parse_stop_method(const std::string& name) {
  for (const StopMethod method :
       {StopMethod::kSuccessiveHalving, StopMethod::kAsha, StopMethod::kHyperband}) {
    if (name == to_string(method)) return method;
  }
  throw Error(
      fmt::format("\"{}\" is no method; there are successive_halving, asha and hyperband", name));
}

}  // namespace shardlab
