#include "validate/gpt_cost.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

/// GPT-2's tokens padded as Megatron-LM does (arXiv 2104.04473, §5). The rows do not say; another
/// number would be fitted away by the head's constant.
constexpr double kVocabulary = 51'200;
constexpr double kHalfPrecision = 2;  ///< Bytes.
constexpr double kForward = 1.0 / 3;  ///< Of a forward and its backward.
constexpr double kLongest = 1e12;     ///< In ms, 30 years.

/// The terms of arXiv 2104.04473, §5.1, of one forward and its backward on one microbatch.
class GptWork {
 public:
  GptWork(const GptShape& gpt, const ParallelLayout& layout)
      : hidden_(static_cast<double>(gpt.hidden)),
        heads_(static_cast<double>(gpt.heads)),
        sequence_(static_cast<double>(gpt.sequence)),
        tokens_(static_cast<double>(layout.micro_batch) * sequence_) {}

  [[nodiscard]] double layer_tflops() const {
    return 3 * tokens_ * (24 * hidden_ * hidden_ + 4 * hidden_ * sequence_) * 1e-12;
  }
  [[nodiscard]] double scores() const { return tokens_ * heads_ * sequence_; }
  [[nodiscard]] double head_tflops() const { return 6 * tokens_ * hidden_ * kVocabulary * 1e-12; }
  [[nodiscard]] double boundary_bytes() const { return tokens_ * hidden_ * kHalfPrecision; }

  [[nodiscard]] double layer_parameters() const { return hidden_ * (12 * hidden_ + 13); }
  [[nodiscard]] double token_parameters() const { return hidden_ * kVocabulary; }
  [[nodiscard]] double position_parameters() const { return hidden_ * sequence_; }

 private:
  double hidden_, heads_, sequence_, tokens_;
};

double layer_ms(const GptWork& work, const GptCost& cost) {
  const double device = cost.layer_fixed_ms + cost.layer_ms_per_tflop * work.layer_tflops() +
                        cost.score_ps * 1e-9 * work.scores();
  return std::max(cost.layer_launch_ms, device);
}

Duration milliseconds(double ms) {
  if (!(ms >= 0 && ms < kLongest)) throw Error(fmt::format("{} ms is no time of a stage", ms));
  return Duration{std::llround(ms * 1e6)};
}

}  // namespace

std::vector<GptStageCost> gpt_stage_costs(const GptShape& gpt, const ParallelLayout& layout,
                                          const GptCost& cost) {
  const GptWork work(gpt, layout);
  const auto layers = static_cast<double>(gpt.layers / layout.pipeline);
  std::vector<GptStageCost> stages(static_cast<std::size_t>(layout.pipeline));
  for (GptStageCost& stage : stages) {
    const bool first = &stage == &stages.front(), last = &stage == &stages.back();
    double ms = layers * layer_ms(work, cost);
    if (last) ms += cost.head_ms_per_tflop * work.head_tflops();
    stage.forward = milliseconds(ms * kForward);
    stage.backward = milliseconds(ms * (1 - kForward));
    double parameters = layers * work.layer_parameters();
    // The head's weights are the embedding's: two copies, unless one stage has both.
    if (first || last) parameters += work.token_parameters();
    if (first) parameters += work.position_parameters();
    stage.step = milliseconds(cost.step_ps_per_parameter * 1e-9 * parameters);
    stage.gradients = static_cast<Bytes>(parameters * kHalfPrecision);
  }
  return stages;
}

Bytes gpt_boundary_bytes(const GptShape& gpt, const ParallelLayout& layout) {
  return static_cast<Bytes>(GptWork(gpt, layout).boundary_bytes());
}

}  // namespace shardlab
