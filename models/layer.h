#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/parameters.h"

namespace at {
class Tensor;
}

namespace shardlab {

/// What the random draws of one pass depend on, beside the layer's place in its model.
struct PassKey {
  std::uint64_t seed = 0;  ///< The job's.
  std::int64_t step = 0;   ///< Minibatch, from 0.
  std::int64_t microbatch = 0;
};

/// A pure function of parameters, input and key; it owns no tensor, so any memory can hold the
/// parameters and any number of threads can call it.
class Layer {
 public:
  Layer(std::string name, std::vector<ParameterSpec> parameters)
      : name_(std::move(name)), parameters_(std::move(parameters)) {}
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::span<const ParameterSpec> parameters() const { return parameters_; }

  /// `parameters` in the order of parameters(). The first layer takes int64 token ids [batch,
  /// context] or images, every other the activation below; the last returns logits [targets,
  /// classes].
  [[nodiscard]] virtual at::Tensor forward(std::span<const at::Tensor> parameters,
                                           const at::Tensor& input, const PassKey& key) const = 0;

 private:
  std::string name_;
  std::vector<ParameterSpec> parameters_;
};

}  // namespace shardlab
