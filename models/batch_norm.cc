#include "models/batch_norm.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr double kEpsilon = 1e-5;  // The default of torch::nn::BatchNorm.

/// Gives back its first input; what the batch has takes the place of the statistics' gradients.
struct HandOver : torch::autograd::Function<HandOver> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& output,
                            const at::Tensor& /*running_mean*/,
                            const at::Tensor& /*running_variance*/, const at::Tensor& mean,
                            const at::Tensor& variance) {
    context->save_for_backward({mean, variance});
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    return {gradients[0], saved[0], saved[1], {}, {}};
  }
};

}  // namespace

at::Tensor batch_norm(const at::Tensor& input, const BatchNormParameters& parameters) {
  if (input.size(0) < 2) {
    throw Error(
        "batch norm needs two sequences in a microbatch; take a larger batch or fewer parts");
  }
  // With a momentum of one, what the operator leaves in these is the batch's own.
  const at::Tensor mean = at::zeros_like(parameters.running_mean, at::kFloat).detach();
  const at::Tensor variance = at::zeros_like(mean);
  const at::Tensor output =
      std::get<0>(at::native_batch_norm(input, parameters.weight, parameters.bias, mean, variance,
                                        /*training=*/true, /*momentum=*/1, kEpsilon));
  if (!at::GradMode::is_enabled()) return output;
  return HandOver::apply(output, parameters.running_mean, parameters.running_variance, mean,
                         variance);
}

}  // namespace shardlab
