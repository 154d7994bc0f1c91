#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace shardlab {

/// A number of a layer, of a model or of the host that a profile may not know: traces of others
/// lack some. What is missing is 0 and no number; find() and refuse_missing() let nobody reckon
/// with it.
enum class CostField : std::uint8_t {
  kParameters,
  kState,
  kOutput,
  kForwardWorkspace,
  kSaved,
  kBackwardWorkspace,
  kForward,
  kRecompute,
  kBackward,
  kStep,
  kInput,  ///< Of a model: ModelProfile::input.
  kCopy,   ///< Of the host, as the rest.
  kCopyBack,
  kUnitOverhead,
  kDispatch,
};

/// As files name them, by CostField.
inline constexpr std::array<std::string_view, 15> kCostFields{
    "parameter_bytes", "state_bytes",
    "output_bytes",    "forward_workspace_bytes",
    "saved_bytes",     "backward_workspace_bytes",
    "forward_ns",      "recompute_ns",
    "backward_ns",     "step_ns",
    "input_bytes",     "copy",
    "copy_back",       "unit_overhead_ns",
    "dispatch_ns"};

constexpr std::string_view name(CostField field) {
  return kCostFields[static_cast<std::size_t>(field)];
}

constexpr bool is_copy(CostField field) {
  return field == CostField::kCopy || field == CostField::kCopyBack;
}
constexpr bool is_time(CostField field) { return name(field).ends_with("_ns"); }

/// Which of them are missing.
class MissingCosts {
 public:
  [[nodiscard]] bool has(CostField field) const { return bits_[static_cast<std::size_t>(field)]; }
  [[nodiscard]] bool any() const { return bits_.any(); }
  void set(CostField field, bool missing = true) {
    bits_[static_cast<std::size_t>(field)] = missing;
  }
  bool operator==(const MissingCosts&) const = default;

 private:
  std::bitset<kCostFields.size()> bits_;
};

}  // namespace shardlab
