#include "profiler/link_text.h"

#include <fmt/format.h>

namespace shardlab {

std::string way_text(const LinkCost& link) {
  if (link.way == LinkWay::kToPeer) return "to " + link.peer;
  return link.way == LinkWay::kToDevice ? "to device" : "to host";
}

const char* memory_text(bool pinned) { return pinned ? "page-locked" : "pageable"; }

std::string caution(const LinkCost& link) {
  constexpr double kLarge = 0.2;
  if (link.residual <= kLarge || link.sizes.empty()) return "";
  const auto& [bytes, time] = link.sizes.back();
  const bool of_host = link.way != LinkWay::kToPeer;
  return fmt::format(
      "{} {}{}: latency and GB/s are up to {:.0f} % off a size that was measured; copies of {:g} "
      "MiB pass {:.2f} GB/s",
      link.device, way_text(link), of_host ? std::string(", ") + memory_text(link.pinned) : "",
      100 * link.residual, static_cast<double>(bytes) / (1 << 20),
      static_cast<double>(bytes) / seconds(time) * 1e-9);
}

}  // namespace shardlab
