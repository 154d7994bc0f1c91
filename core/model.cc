#include "core/model.h"

#include <array>
#include <cstddef>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {

std::string to_string(Architecture architecture) {
  switch (architecture) {
    case Architecture::kMlp:
      return "mlp";
    case Architecture::kGpt:
      return "gpt";
    case Architecture::kBert:
      return "bert";
    case Architecture::kVit:
      return "vit";
    case Architecture::kImported:
      return "imported";
  }
  return "?";
}

std::string to_string(Precision precision) {
  constexpr std::array kNames{"fp32", "bf16", "tf32", "fp16"};
  return kNames.at(static_cast<std::size_t>(precision));
}

std::string to_string(OptimizerKind kind) { return kind == OptimizerKind::kSgd ? "sgd" : "adamw"; }

Architecture parse_architecture(const std::string& name) {
  for (const auto known :
       {Architecture::kMlp, Architecture::kGpt, Architecture::kBert, Architecture::kVit}) {
    if (to_string(known) == name) return known;
  }
  throw Error(fmt::format("\"{}\" is no model; there are mlp, gpt, bert and vit", name));
}

OptimizerKind parse_optimizer(const std::string& name) {
  for (const auto known : {OptimizerKind::kSgd, OptimizerKind::kAdamW}) {
    if (to_string(known) == name) return known;
  }
  throw Error(fmt::format("\"{}\" is no optimizer; there are sgd and adamw", name));
}

Precision parse_precision(const std::string& name) {
  for (const auto known : {Precision::kFp32, Precision::kBf16}) {
    if (to_string(known) == name) return known;
  }
  throw Error(fmt::format("\"{}\" is no precision; there are fp32 and bf16", name));
}

Precision parse_any_precision(const std::string& name) {
  for (const auto known :
       {Precision::kFp32, Precision::kTf32, Precision::kBf16, Precision::kFp16}) {
    if (to_string(known) == name) return known;
  }
  throw Error(fmt::format("\"{}\" is no precision; there are fp32, tf32, bf16 and fp16", name));
}

std::string describe(const ModelSpec& model) {
  if (model.architecture == Architecture::kImported) {
    return std::string(kImportedPrefix) + model.imported;
  }
  return fmt::format(
      "{} {}x{}, {} heads, context {}{}{}{}", to_string(model.architecture), model.layers,
      model.width, model.heads, model.context,
      model.precision == Precision::kFp32 ? "" : ", " + to_string(model.precision),
      model.batch_norm ? ", batch norm" : "",
      model.feed_forward == 0 ? "" : fmt::format(", feed-forward {}", model.feed_forward));
}

}  // namespace shardlab
