#include "models/layer_parameters.h"

#include <cmath>
#include <string>
#include <utility>

#include "models/validate.h"

namespace shardlab {
namespace {

constexpr double kDeviation = 0.02;  // GPT-2 (Radford et al. 2019) and BERT (Devlin et al. 2019).

ParameterSpec weight(std::string name, std::int64_t out, std::int64_t in,
                     double deviation = kDeviation) {
  return {std::move(name), {out, in}, Initial::kNormal, deviation};
}

bool is_mlp(const ModelSpec& spec) { return spec.architecture == Architecture::kMlp; }

}  // namespace

std::vector<ParameterSpec> embedding_parameters(const ModelSpec& spec) {
  if (spec.architecture == Architecture::kVit) {
    return {weight("patch", spec.width, kImageNumbers / spec.context),
            {"bias", {spec.width}},
            weight("position", spec.context, spec.width)};
  }
  if (!is_mlp(spec)) {
    return {weight("token", kVocabulary + 1, spec.width),
            weight("position", spec.context, spec.width)};
  }
  return {{"byte", {kVocabulary + 1, kByteWidth}, Initial::kNormal, 1.0},
          {"weight",
           {spec.width, spec.context * kByteWidth},
           Initial::kNormal,
           std::sqrt(1.0 / (spec.context * kByteWidth))},
          {"bias", {spec.width}}};
}

std::vector<ParameterSpec> block_parameters(const ModelSpec& spec) {
  const std::int64_t w = spec.width;
  if (is_mlp(spec)) {
    std::vector<ParameterSpec> linear{
        {"weight", {w, w}, Initial::kNormal, std::sqrt(2.0 / spec.width)}, {"bias", {w}}};
    if (spec.batch_norm) {
      linear.push_back({"norm_weight", {w}, Initial::kOne});
      linear.push_back({"norm_bias", {w}});
      linear.push_back({"running_mean", {w}, Initial::kZero, 0, true});
      linear.push_back({"running_variance", {w}, Initial::kOne, 0, true});
    }
    return linear;
  }
  const std::int64_t f = feed_forward_width(spec);
  // GPT-2 scales what is added to the residual by 1 / sqrt(number of additions).
  const double residual = kDeviation / std::sqrt(2.0 * spec.layers);
  return {{"norm1_weight", {w}, Initial::kOne},
          {"norm1_bias", {w}},
          weight("qkv_weight", 3 * w, w),
          {"qkv_bias", {3 * w}},
          weight("join_weight", w, w, residual),
          {"join_bias", {w}},
          {"norm2_weight", {w}, Initial::kOne},
          {"norm2_bias", {w}},
          weight("up_weight", f, w),
          {"up_bias", {f}},
          weight("down_weight", w, f, residual),
          {"down_bias", {w}}};
}

std::vector<ParameterSpec> head_parameters(const ModelSpec& spec) {
  return {{"norm_weight", {spec.width}, Initial::kOne},
          {"norm_bias", {spec.width}},
          weight("weight", classes(spec), spec.width),
          {"bias", {classes(spec)}}};
}

}  // namespace shardlab
