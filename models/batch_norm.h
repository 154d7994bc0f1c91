#pragma once

namespace at {
class Tensor;
}

namespace shardlab {

/// The parameters of a batch norm over [rows, width], each [width].
struct BatchNormParameters {
  const at::Tensor& weight;
  const at::Tensor& bias;
  const at::Tensor& running_mean;      ///< A statistic, see ParameterSpec.
  const at::Tensor& running_variance;  ///< Likewise; of the batch, over rows - 1.
};

/// `input` [rows, width] normalized by its own mean and variance over the rows (Ioffe and Szegedy
/// 2015). Writes nothing: the backward hands mean and variance to the two statistics, so that they
/// move once a step however often a forward runs. Throws Error unless there are two rows.
at::Tensor batch_norm(const at::Tensor& input, const BatchNormParameters& parameters);

}  // namespace shardlab
