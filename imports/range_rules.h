#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <string_view>

#include "imports/imported.h"

namespace shardlab {

/// What a range of the host means for what is launched in it.
enum class RangeRole : std::uint8_t {
  kNone,
  kStep,       ///< One minibatch.
  kLayer,      ///< A layer's forward.
  kModule,     ///< The same by the name of a module, which goes before annotations.
  kOperator,   ///< The same of an operator: each of a minibatch is a layer of its own.
  kOptimizer,  ///< Its step.
  kZeroing,    ///< Of gradients: part of a step that ends no minibatch.
  kBackward,   ///< The backward of whatever layers are named in it.
};
inline constexpr std::size_t kRangeRoles = 8;

/// Whether ranges of that role are layers.
constexpr bool makes_layers(RangeRole role) {
  return role == RangeRole::kLayer || role == RangeRole::kModule || role == RangeRole::kOperator;
}

/// Who named a range.
enum class RangeSource : std::uint8_t { kAnnotation, kModule, kOperator };

/// Which ranges are what, by their names: rules of the user, or else
///
///   kStep       ProfilerStep#3, iteration 3, step_3, batch 3
///   kOptimizer  Optimizer.step#SGD.step, ## optimizer ##
///   kZeroing    Optimizer.zero_grad
///   kBackward   ## backward ##, loss.backward
///   kModule     nn.Module: Linear_0
///   kLayer      other annotations, without those of libraries (nccl:, DistributedDataParallel.,
///               enumerate(DataLoader), [param|...])
class RangeRules {
 public:
  static constexpr std::size_t kMostName = 1024;  ///< Bytes; longer ones mean nothing.

  /// Throws UsageError on a regular expression that is none.
  explicit RangeRules(const ImportOptions& options);

  [[nodiscard]] RangeRole role(std::string_view name, RangeSource source) const;
  /// What its layer is called: the first group of the user's rule, if it has one, else the match;
  /// the name without "nn.Module: ".
  [[nodiscard]] std::string layer_name(std::string_view name) const;
  /// A rule of the user's says which ranges are layers.
  [[nodiscard]] bool ruled() const { return layer_.has_value(); }
  /// The user's rules as given; empty: none.
  [[nodiscard]] const std::string& layer_rule() const { return layer_rule_; }
  [[nodiscard]] const std::string& step_rule() const { return step_rule_; }

 private:
  std::string layer_rule_, step_rule_;
  std::optional<std::regex> layer_;
  std::regex step_;
};

}  // namespace shardlab
