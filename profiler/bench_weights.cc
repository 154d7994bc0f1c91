#include "profiler/bench_weights.h"

#include <algorithm>
#include <cassert>
#include <cstddef>

#include <ATen/core/Tensor.h>

namespace shardlab {
namespace {

/// What was there is forgotten.
void grow(const TorchDevice& device, at::Tensor& space, std::int64_t floats) {
  if (space.defined() && space.numel() >= floats) return;
  space = at::Tensor();  // First: both may not fit.
  space = device.empty(floats);
}

void copy(const TorchDevice& device, const at::Tensor& to, std::int64_t to_first,
          const at::Tensor& from, std::int64_t from_first, std::int64_t floats) {
  at::Tensor part = to.narrow(0, to_first, floats);
  device.copy(part, from.narrow(0, from_first, floats));
}

}  // namespace

struct WeightSpace::Tensors {
  at::Tensor parameters, state;
};

WeightSpace::WeightSpace() : tensors_(std::make_unique<Tensors>()) {}
WeightSpace::~WeightSpace() = default;

std::int64_t WeightSpace::parameters() const { return tensors_->parameters.numel(); }
std::int64_t WeightSpace::state() const { return tensors_->state.numel(); }

struct BenchWeights::Host {
  at::Tensor parameters, state;
};

BenchWeights::BenchWeights(const TorchDevice& device, const ShardPass& whole, int state_factor,
                           std::int64_t most_floats, WeightSpace& space)
    : device_(device),
      state_factor_(state_factor),
      host_(
          std::make_unique<Host>(Host{device.host_zeros(whole.parameter_floats()),
                                      device.host_zeros(whole.parameter_floats() * state_factor)})),
      space_(space) {
  whole.initialize(1, {host_parameters(0), static_cast<std::size_t>(whole.parameter_floats())});
  space_.holder_ = nullptr;
  grow(device, space_.tensors_->parameters, most_floats);
  grow(device, space_.tensors_->state, most_floats * state_factor);
}

BenchWeights::~BenchWeights() = default;

void BenchWeights::bring(WeightRange range, bool with_state) {
  const bool within = range.first >= brought_.first &&
                      range.first + range.floats <= brought_.first + brought_.floats;
  if (space_.holder_ == this && within && (brought_state_ || !with_state)) return;
  space_.holder_ = this;
  brought_ = range;
  brought_state_ = with_state;
  copy_in(range, with_state);
  device_.synchronize();
}

float* BenchWeights::parameters(std::int64_t first) const {
  assert(space_.holder_ == this);
  return space_.tensors_->parameters.data_ptr<float>() + (first - brought_.first);
}

float* BenchWeights::state(std::int64_t first) const {
  assert(space_.holder_ == this && brought_state_);
  return space_.tensors_->state.data_ptr<float>() + (first - brought_.first) * state_factor_;
}

float* BenchWeights::host_parameters(std::int64_t first) const {
  return host_->parameters.data_ptr<float>() + first;
}

float* BenchWeights::host_state(std::int64_t first) const {
  return host_->state.data_ptr<float>() + first * state_factor_;
}

void BenchWeights::copy_in(WeightRange range, bool with_state) {
  const std::int64_t at = range.first - brought_.first;
  copy(device_, space_.tensors_->parameters, at, host_->parameters, range.first, range.floats);
  if (!with_state) return;
  copy(device_, space_.tensors_->state, at * state_factor_, host_->state,
       range.first * state_factor_, range.floats * state_factor_);
}

void BenchWeights::copy_out(WeightRange range) {
  const std::int64_t at = range.first - brought_.first;
  copy(device_, host_->parameters, range.first, space_.tensors_->parameters, at, range.floats);
  copy(device_, host_->state, range.first * state_factor_, space_.tensors_->state,
       at * state_factor_, range.floats * state_factor_);
}

}  // namespace shardlab
