#include "imports/range_names.h"

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {

RangeNames::Known RangeNames::look_up(std::string_view name, RangeSource source) {
  // Names that are each there once, as of minibatches, would be too many to remember.
  constexpr std::size_t kRemembered = 4096;
  auto& recent = recent_[static_cast<std::size_t>(source)];
  if (const auto found = recent.find(name); found != recent.end()) return found->second;
  Known fresh{0, rules_.role(name, source)};
  if (fresh.role != RangeRole::kNone && fresh.role != RangeRole::kStep) {
    fresh.index = index_of(name, fresh.role);
  }
  if (name.size() > RangeRules::kMostName) return fresh;
  if (recent.size() >= kRemembered) recent.clear();
  recent.emplace(name, fresh);
  return fresh;
}

std::uint32_t RangeNames::index_of(std::string_view name, RangeRole role) {
  const std::string layer = makes_layers(role) ? rules_.layer_name(name) : std::string();
  // Operators are numbered by their own names, whatever a rule makes of these.
  const std::string key = role == RangeRole::kOperator ? std::string(name) : layer;
  const auto [found, fresh] = indices_[static_cast<std::size_t>(role)].emplace(
      key, static_cast<std::uint32_t>(all_.size()));
  if (fresh) {
    if (all_.size() == kMost) {
      throw Error(fmt::format(
          "ranges of layers have more than {} names; --layer-rule '^(.*) [0-9]+$' leaves out what "
          "is unlike in each minibatch",
          kMost));
    }
    all_.push_back({layer, role});
  }
  return found->second;
}

}  // namespace shardlab
