#include "profiler/bench_weights.h"

#include <cstdint>
#include <numeric>
#include <vector>

#include <ATen/ops/from_blob.h>

#include "models/model.h"
#include "tests/on_fake_accelerator.h"

namespace shardlab {
namespace {

const ModelSpec kModel{Architecture::kMlp, 3, 16, 1, 4, 0};
constexpr int kStateFactor = 2;

std::vector<float> counted(std::int64_t floats, float from) {
  std::vector<float> values(static_cast<std::size_t>(floats));
  std::iota(values.begin(), values.end(), from);
  return values;
}

/// What lies on the device from `at` on.
std::vector<float> there(const TorchDevice& device, float* at, std::int64_t floats) {
  std::vector<float> values(static_cast<std::size_t>(floats));
  const auto type = device.is_cpu() ? at::kCPU : at::kPrivateUse1;
  at::Tensor host = at::from_blob(values.data(), {floats});
  host.copy_(at::from_blob(at, {floats}, at::TensorOptions().device(type)));
  return values;
}

/// A model whose parameters and state are numbers that tell where they belong.
struct Numbered {
  Numbered(const TorchDevice& device, std::int64_t most, WeightSpace& space, float from)
      : weights(device, whole, kStateFactor, most, space) {
    const auto floats = whole.parameter_floats();
    fill(weights.host_parameters(0), counted(floats, from));
    fill(weights.host_state(0), counted(floats * kStateFactor, -from));
  }
  static void fill(float* to, const std::vector<float>& values) {
    std::copy(values.begin(), values.end(), to);
  }
  [[nodiscard]] WeightRange layer(int i) const {
    return {whole.offset(i), whole.offset(i + 1) - whole.offset(i)};
  }

  Model model{kModel};
  ShardPass whole{model, 0, model.layers()};
  BenchWeights weights;
};

class BenchWeightsOnDevices : public OnFakeAccelerator,
                              public testing::WithParamInterface<const char*> {
 protected:
  DeviceSpec spec() {
    DeviceSpec spec;
    spec.kind = GetParam();
    return spec;
  }
};

TEST_P(BenchWeightsOnDevices, TwoModelsTakeTurnsInRoomForTheLargestLayerOfEither) {
  const TorchDevice device(spec());
  device.enter(TorchDevice::Queue::kCompute);
  const Model shape(kModel);
  const ShardPass whole(shape, 0, shape.layers());
  std::int64_t most = 0;
  for (int i = 0; i < shape.layers(); ++i) {
    most = std::max(most, whole.offset(i + 1) - whole.offset(i));
  }
  ASSERT_LT(most, whole.parameter_floats());
  WeightSpace space;
  Numbered one(device, most, space, 1), other(device, most, space, 1e6F);
  EXPECT_EQ(space.parameters(), most);
  EXPECT_EQ(space.state(), most * kStateFactor);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < shape.layers(); ++i) {
      for (Numbered* each : {&one, &other}) {
        const float from = each == &one ? 1 : 1e6F;
        const auto [first, floats] = each->layer(i);
        each->weights.bring(each->layer(i), /*with_state=*/round == 1);
        EXPECT_EQ(there(device, each->weights.parameters(first), floats),
                  counted(floats, from + static_cast<float>(first)));
        if (round == 0) continue;
        EXPECT_EQ(there(device, each->weights.state(first), floats * kStateFactor),
                  counted(floats * kStateFactor, -from + static_cast<float>(first * kStateFactor)));
      }
    }
  }
}

TEST_P(BenchWeightsOnDevices, WhatLiesThereIsNotCopiedAgain) {
  const TorchDevice device(spec());
  device.enter(TorchDevice::Queue::kCompute);
  WeightSpace space;
  Numbered model(device, Model(kModel).layers() * 10'000, space, 1);
  const WeightRange all{0, model.whole.parameter_floats()};
  model.weights.bring(all, /*with_state=*/true);
  const WeightRange last = model.layer(model.model.layers() - 1);
  *model.weights.host_parameters(last.first) = 42;
  model.weights.bring(last, /*with_state=*/true);
  const auto first_of_last = [&] {
    return there(device, model.weights.parameters(last.first), 1).front();
  };
  EXPECT_NE(first_of_last(), 42);
  model.weights.copy_in(last, /*with_state=*/false);
  device.synchronize();
  EXPECT_EQ(first_of_last(), 42);
}

INSTANTIATE_TEST_SUITE_P(Kinds, BenchWeightsOnDevices, testing::Values("cpu", "privateuseone"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace shardlab
