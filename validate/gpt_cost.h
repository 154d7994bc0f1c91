#pragma once

#include <array>
#include <vector>

#include "core/bytes.h"
#include "core/time.h"
#include "traces/vtrain_file.h"

namespace shardlab {

/// What training a GPT costs on one kind of GPU, in half precision with Adam: six constants of the
/// machine and its software, none of them negative, the same for every model and layout.
///
/// Times are those of a forward and its backward together; the backward takes two thirds, as it has
/// twice the operations (Narayanan et al., arXiv 2104.04473, §5.1).
struct GptCost {
  double layer_ms_per_tflop =
      1e3 / 312;               ///< Matrix products of a layer. A100: 312 TFLOP/s at most.
  double score_ps = 30;        ///< Per attention score: mask, softmax, dropout, bound by memory.
  double layer_fixed_ms = 1;   ///< Per layer and microbatch: kernels too small to fill the GPU.
  double layer_launch_ms = 2;  ///< The host launches a layer's kernels; it takes no less.
  double head_ms_per_tflop = 1e3 / 312;  ///< Logits over the vocabulary, and the loss.
  double step_ps_per_parameter = 20;     ///< Optimizer step.
};

struct GptCostParameter {
  const char* name;  ///< With its unit.
  double GptCost::*value;
};

/// All of them, in the order of the struct.
inline constexpr std::array<GptCostParameter, 6> kGptCostParameters{{
    {"layer_ms_per_tflop", &GptCost::layer_ms_per_tflop},
    {"score_ps", &GptCost::score_ps},
    {"layer_fixed_ms", &GptCost::layer_fixed_ms},
    {"layer_launch_ms", &GptCost::layer_launch_ms},
    {"head_ms_per_tflop", &GptCost::head_ms_per_tflop},
    {"step_ps_per_parameter", &GptCost::step_ps_per_parameter},
}};

/// One stage of a pipeline, on one microbatch.
struct GptStageCost {
  Duration forward{}, backward{};
  Duration step{};      ///< Once per minibatch.
  Bytes gradients = 0;  ///< What replicas reduce.
};

/// Per stage, first to last. Layers are spread evenly; the first stage has the embeddings too, the
/// last the head. Throws Error when something takes longer than the clock holds.
std::vector<GptStageCost> gpt_stage_costs(const GptShape& gpt, const ParallelLayout& layout,
                                          const GptCost& cost);

/// What one stage hands to the next per microbatch, and gets back as its gradient.
Bytes gpt_boundary_bytes(const GptShape& gpt, const ParallelLayout& layout);

}  // namespace shardlab
