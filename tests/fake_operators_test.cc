#include <functional>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "models/memory_account.h"
#include "tests/fake_accelerator.h"
#include "tests/on_fake_accelerator.h"

namespace shardlab {
namespace {

const at::Device kDevice(at::kPrivateUse1, 1);

class FakeOperators : public OnFakeAccelerator {};

using Tensors = std::vector<at::Tensor>;

at::Tensor drawn(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::detail::createCPUGenerator(seed), at::TensorOptions());
}

/// The outputs of `computation` of these inputs on `device`, back on the host.
Tensors computed(const std::function<Tensors(const Tensors&)>& computation, const Tensors& inputs,
                 at::Device device) {
  Tensors there;
  for (const at::Tensor& each : inputs) {
    there.push_back(each.to(device, each.scalar_type(), false, true));
    if (each.is_floating_point()) there.back().set_requires_grad(true);
  }
  Tensors results;
  for (const at::Tensor& each : computation(there)) results.push_back(each.detach().cpu());
  return results;
}

void expect_same_bits(const std::function<Tensors(const Tensors&)>& computation,
                      const Tensors& inputs) {
  const Tensors here = computed(computation, inputs, at::kCPU);
  const Tensors there = computed(computation, inputs, kDevice);
  ASSERT_EQ(here.size(), there.size());
  for (std::size_t i = 0; i < here.size(); ++i) {
    EXPECT_TRUE(here[i].equal(there[i])) << "output " << i << "\n" << here[i] << there[i];
  }
}

Tensors with_gradients(const at::Tensor& loss, const Tensors& inputs) {
  Tensors leaves;
  for (const at::Tensor& each : inputs) {
    if (each.requires_grad()) leaves.push_back(each);
  }
  Tensors all = torch::autograd::grad({loss}, leaves);
  all.push_back(loss);
  return all;
}

Tensors transformer(const Tensors& in) {
  const at::Tensor x = at::embedding(in[0], in[1]);  // [batch 2, context 5, width 16]
  const at::Tensor normed = at::layer_norm(x, {16}, in[2], in[3]);
  const auto parts =
      at::linear(normed, in[4], in[5]).view({2, 5, 3, 4, 4}).permute({2, 0, 3, 1, 4}).unbind(0);
  const at::Tensor joined =
      at::scaled_dot_product_attention(parts[0], parts[1], parts[2], {}, 0.0, true);
  const at::Tensor y = x.add(at::gelu(joined.transpose(1, 2).reshape({2, 5, 16})));
  const at::Tensor logits = at::linear(y, in[6], in[7]).view({-1, 32});
  return with_gradients(at::cross_entropy_loss(logits, in[1].view(-1)), in);
}

Tensors transformer_inputs() {
  return {drawn({32, 16}, 1), at::arange(10).remainder(7).view({2, 5}).to(at::kLong),
          drawn({16}, 2),     drawn({16}, 3),
          drawn({48, 16}, 4), drawn({48}, 5),
          drawn({32, 16}, 6), drawn({32}, 7)};
}

TEST_F(FakeOperators, ComputesATransformerAndItsGradientsAsTheCpu) {
  expect_same_bits(transformer, transformer_inputs());
}

TEST_F(FakeOperators, ComputesTheSameWhenEverythingComesLate) {
  fake::set_order(fake::Order::kLate);
  expect_same_bits(transformer, transformer_inputs());
}

TEST_F(FakeOperators, ComputesOnAnyStream) {
  const c10::StreamGuard guard(c10::impl::VirtualGuardImpl(at::kPrivateUse1).getNewStream(kDevice));
  fake::set_order(fake::Order::kLate);
  expect_same_bits(transformer, transformer_inputs());
}

TEST_F(FakeOperators, TheHostRunsAheadThroughForwardAndBackward) {
  Tensors inputs;
  for (const at::Tensor& each : transformer_inputs()) {
    inputs.push_back(each.to(kDevice));
    if (each.is_floating_point()) inputs.back().set_requires_grad(true);
  }
  fake::Gate gate(1);
  const Tensors results = transformer(inputs);  // Nothing of this has run.
  EXPECT_FALSE(c10::Stream(c10::Stream::DEFAULT, kDevice).query());
  gate.open();
  EXPECT_TRUE(results.back().isfinite().item<bool>());
}

TEST_F(FakeOperators, NeedNoMemoryOfTheCallersAccount) {
  const at::Tensor a = drawn({1000}, 1).to(kDevice);
  const at::Tensor host = at::zeros({1000});
  const MemoryAccount account(64);
  const AccountScope scope(account);
  const at::Tensor b = a.mul(a).sin_();
  a.copy_(host, true);
  host.copy_(b);
  EXPECT_LT(host.min().item<float>(), 0);
}

TEST_F(FakeOperators, StepsFusedOptimizersAsTheCpu) {
  const Tensors inputs{drawn({37}, 1), drawn({37}, 2), at::zeros({37}), at::zeros({37}),
                       at::ones({})};
  expect_same_bits(
      [](const Tensors& in) {
        const at::NoGradGuard no_graph;
        at::_fused_adamw_({in[0]}, {in[1]}, {in[2]}, {in[3]}, {}, {in[4]}, 1e-3, 0.9, 0.95, 0.1,
                          1e-8, false, false);
        return Tensors{in[0], in[2], in[3]};
      },
      inputs);
  expect_same_bits(
      [](const Tensors& in) {
        const at::NoGradGuard no_graph;
        at::_fused_sgd_({in[0]}, {in[1]}, {in[2]}, 0.1, 0.9, 1e-2, 0.0, false, false, false);
        return Tensors{in[0], in[2]};
      },
      inputs);
}

TEST_F(FakeOperators, ComputesWhatHasShapesThatDependOnValues) {
  expect_same_bits(
      [](const Tensors& in) {
        at::Tensor out = at::empty({0}, in[0].options());
        at::add_out(out, in[0].detach(), in[0].detach());
        return Tensors{in[0].gt(0).nonzero(), in[0].masked_select(in[0].gt(0)), out,
                       at::cat({in[0], out}), at::arange(3, in[0].options())};
      },
      {drawn({20}, 1)});
}

}  // namespace
}  // namespace shardlab
