#include "imports/range_rules.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr std::string_view kModulePrefix = "nn.Module: ";

std::regex compiled(const char* option, const std::string& rule) {
  try {
    return std::regex(rule, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error& error) {
    throw UsageError(fmt::format("{} '{}': no regular expression: {}", option, rule, error.what()));
  }
}

bool has(std::string_view name, std::string_view lower_case) {
  return !std::ranges::search(name, lower_case, [](char a, char b) {
            return std::tolower(static_cast<unsigned char>(a)) == b;
          }).empty();
}

/// Annotations that libraries make around what are no layers.
bool of_library(std::string_view name) {
  constexpr std::array<std::string_view, 7> kPrefixes{
      "nccl:",   "c10d::",          "gloo:", "DistributedDataParallel.", "enumerate(DataLoader)",
      "[param|", "PyTorch Profiler"};
  return std::ranges::any_of(kPrefixes, [&](auto prefix) { return name.starts_with(prefix); });
}

RangeRole usual_role(std::string_view name, RangeSource source) {
  if (source == RangeSource::kModule) {
    return name.starts_with(kModulePrefix) ? RangeRole::kModule : RangeRole::kNone;
  }
  if (source == RangeSource::kOperator || of_library(name) || name.empty()) return RangeRole::kNone;
  return RangeRole::kLayer;
}

}  // namespace

RangeRules::RangeRules(const ImportOptions& options)
    : layer_rule_(options.layer_rule),
      step_rule_(options.step_rule),
      step_(compiled("--step-rule",
                     options.step_rule.empty()
                         ? "^(ProfilerStep|[Ii]ter(ation)?|[Ss]tep|[Bb]atch)[ _#:]*[0-9]+$"
                         : options.step_rule)) {
  if (!options.layer_rule.empty()) layer_ = compiled("--layer-rule", options.layer_rule);
}

RangeRole RangeRules::role(std::string_view name, RangeSource source) const {
  // std::regex goes down one level per character.
  if (name.size() > kMostName) return RangeRole::kNone;
  const char* const begin = name.data();
  const char* const end = begin + name.size();
  const bool annotation = source == RangeSource::kAnnotation;
  if (annotation && std::regex_search(begin, end, step_)) return RangeRole::kStep;
  if (layer_ && std::regex_search(begin, end, *layer_)) {
    return source == RangeSource::kOperator ? RangeRole::kOperator : RangeRole::kLayer;
  }
  if (annotation && has(name, "zero_grad")) return RangeRole::kZeroing;
  if (annotation && has(name, "optimizer")) return RangeRole::kOptimizer;
  if (annotation && has(name, "backward")) return RangeRole::kBackward;
  return layer_ ? RangeRole::kNone : usual_role(name, source);
}

std::string RangeRules::layer_name(std::string_view name) const {
  if (layer_) {
    std::match_results<const char*> match;
    if (std::regex_search(name.data(), name.data() + name.size(), match, *layer_)) {
      const auto& part = match.size() > 1 && match[1].matched ? match[1] : match[0];
      if (part.length() > 0)
        name = std::string_view(part.first, static_cast<std::size_t>(part.length()));
    }
  }
  if (name.starts_with(kModulePrefix)) name.remove_prefix(kModulePrefix.size());
  std::string result(name);
  std::ranges::replace_if(
      result, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '_');
  return result;
}

}  // namespace shardlab
