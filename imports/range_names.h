#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "imports/range_rules.h"

namespace shardlab {

/// Ranges that mean something, by what is kept of their names: what their layer is called, and of
/// operators their own name too. Grows with the layers, not with the trace.
class RangeNames {
 public:
  struct Name {
    std::string layer;
    RangeRole role = RangeRole::kNone;
  };
  struct Known {
    std::uint32_t index = 0;  ///< Into all(), unless the role is kNone or kStep.
    RangeRole role = RangeRole::kNone;
  };
  static constexpr std::size_t kMost = 1 << 16;

  explicit RangeNames(const RangeRules& rules) : rules_(rules) {}

  /// Throws Error where there are more than kMost names.
  Known look_up(std::string_view name, RangeSource source);
  [[nodiscard]] const std::vector<Name>& all() const { return all_; }

 private:
  /// So that a name is looked up without making a string of it.
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };
  template <typename Value>
  using ByName = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

  std::uint32_t index_of(std::string_view name, RangeRole role);

  const RangeRules& rules_;
  ByName<Known> recent_[3];  ///< By source.
  ByName<std::uint32_t> indices_[kRangeRoles];
  std::vector<Name> all_;
};

}  // namespace shardlab
