#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/bytes.h"
#include "models/model.h"

namespace shardlab {

/// A forward whose graph is kept for the backward. Include ATen before making or moving one.
struct Recording {
  std::vector<at::Tensor> leaves;  ///< Parameters, then the input when it is an activation.
  std::vector<at::Tensor> output;  ///< One: the activation above, or the loss.
};

/// What a backward gives. Include ATen before using one.
struct Gradients {
  std::vector<at::Tensor> parameters;  ///< In the order and shape of the shard's parameters.
  std::vector<at::Tensor> input;  ///< One, for the shard below; none when the shard takes tokens.
  double loss = 0;                ///< Of the last shard.
};

/// Layers [first, last) of a model as one thing that runs over flat memory, on the device that
/// holds its input: the parameters of the shard, padded (see parameters.h), are read in place;
/// state follows the same order, state_factor floats per parameter float. Results are the same to
/// the bit for every cut of a model into shards. Const and without state: any thread may use it.
class ShardPass {
 public:
  /// Keeps a reference to `model`. Throws Error unless 0 <= first < last <= model.layers().
  ShardPass(const Model& model, int first, int last);

  [[nodiscard]] int first() const { return first_; }
  [[nodiscard]] int last() const { return last_; }
  [[nodiscard]] bool takes_tokens() const { return first_ == 0; }
  [[nodiscard]] bool makes_loss() const { return last_ == model_->layers(); }
  [[nodiscard]] std::int64_t parameter_floats() const { return floats_; }
  [[nodiscard]] Bytes parameter_bytes() const {
    return floats_ * static_cast<Bytes>(sizeof(float));
  }
  /// Where layer `layer` of the model starts, in floats; `layer` in [first, last].
  [[nodiscard]] std::int64_t offset(int layer) const;

  void initialize(std::uint64_t seed, std::span<float> parameters) const;

  /// Activation at the upper boundary, contiguous, without a graph. Not for the last shard.
  [[nodiscard]] at::Tensor forward(const float* parameters, const at::Tensor& input,
                                   const PassKey& key) const;
  /// The loss without a graph. Last shard only.
  [[nodiscard]] double evaluate(const float* parameters, const at::Tensor& input,
                                const at::Tensor& targets, const PassKey& key) const;

  /// Forward with a graph; the input is detached from any other. Not for the last shard.
  [[nodiscard]] Recording record(const float* parameters, const at::Tensor& input,
                                 const PassKey& key) const;
  /// The same up to the loss. Last shard only.
  [[nodiscard]] Recording record(const float* parameters, const at::Tensor& input,
                                 const at::Tensor& targets, const PassKey& key) const;
  /// Uses up `recording`. `output_gradient` is what the shard above gave as its gradient of the
  /// input. Where `sums` is given, laid out like the parameters, gradients are added to it, each as
  /// soon as it is made, and Gradients::parameters stays empty.
  [[nodiscard]] Gradients backward(Recording recording, const at::Tensor& output_gradient,
                                   const at::Tensor* sums = nullptr) const;
  /// From the loss.
  [[nodiscard]] Gradients backward(Recording recording, const at::Tensor* sums = nullptr) const;
  /// Views of sums of gradients, or of what store() left, as a step takes them.
  [[nodiscard]] Gradients view_gradients(const at::Tensor& sums) const;
  /// Writes gradients to `flat`, laid out like the parameters.
  void store(const Gradients& gradients, const at::Tensor& flat) const;

  /// One optimizer step in place; `step` counts from 1.
  void step(const OptimizerSpec& optimizer, std::int64_t step, const Gradients& gradients,
            float* parameters, float* state) const;
  /// The same, to the bit of step() on the CPU, by threads of its own: LibTorch's would be those of
  /// lanes. All lies in host memory.
  void step_on_host(const OptimizerSpec& optimizer, std::int64_t step, const Gradients& gradients,
                    float* parameters, float* state, std::size_t threads) const;

 private:
  template <typename InRanges>
  void step_in_ranges(const OptimizerSpec& optimizer, std::int64_t step,
                      const std::vector<at::Tensor>& gradients, float* parameters, float* state,
                      const InRanges& in_ranges) const;
  [[nodiscard]] std::vector<at::Tensor> bind(const float* parameters, const at::Tensor& input,
                                             bool requires_grad) const;
  [[nodiscard]] at::Tensor run(std::span<const at::Tensor> parameters, const at::Tensor& input,
                               const PassKey& key) const;
  [[nodiscard]] Recording start(const float* parameters, const at::Tensor& input) const;
  void step_on_cpu(const OptimizerSpec& optimizer, std::int64_t step,
                   const std::vector<at::Tensor>& gradients, float* parameters, float* state) const;
  void step_on_accelerator(const OptimizerSpec& optimizer, std::int64_t step,
                           const std::vector<at::Tensor>& gradients, float* parameters,
                           float* state) const;
  [[nodiscard]] Gradients finish(const Recording& recording,
                                 const std::vector<at::Tensor>& output_gradient,
                                 const at::Tensor* sums) const;
  [[nodiscard]] Gradients finish_into(const at::Tensor& sums, const Recording& recording,
                                      const std::vector<at::Tensor>& output_gradient) const;

  const Model* model_;
  int first_;
  int last_;
  std::int64_t floats_ = 0;
};

/// Views of memory that must outlive them: token ids or targets, and an activation of `spec` at
/// `batch`.
at::Tensor view_tokens(std::span<const std::int64_t> tokens, int batch);
at::Tensor view_activation(const float* values, const ModelSpec& spec, int batch);

}  // namespace shardlab
