#include "models/torch_device.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "core/parallel.h"

namespace shardlab {
namespace {

c10::Device device_of(const DeviceSpec& spec) {
  c10::DeviceType type = c10::kCPU;
  bool known = true;
  try {
    const c10::Device named(spec.kind);
    known = !named.has_index();  // "cuda:1" is no kind; the ordinal says which.
    type = named.type();
  } catch (const c10::Error&) {
    known = false;
  }
  if (!known) {
    throw Error(spec.name + ": LibTorch knows no kind of device \"" + spec.kind +
                "\"; use \"cpu\" or \"cuda\"");
  }
  if (type == c10::kCPU) return c10::Device(c10::kCPU);
  const int count =
      c10::impl::hasDeviceGuardImpl(type) ? c10::impl::VirtualGuardImpl(type).deviceCount() : 0;
  if (spec.ordinal < count) return {type, static_cast<c10::DeviceIndex>(spec.ordinal)};
  throw Error(spec.name + ": LibTorch finds " + std::to_string(count) + " devices of kind \"" +
              spec.kind + "\" here, wanted is the one with ordinal " +
              std::to_string(spec.ordinal) + "; shardlab doctor shows what there is");
}

void wait_for(const c10::Stream& stream) {
  try {
    stream.synchronize();
  } catch (const c10::Error& error) {
    throw Error(std::string("the accelerator failed: ") + error.what_without_backtrace());
  }
}

constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);

auto stats_of(c10::Device device) {
  return at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
}

c10::CachingAllocator::Stat held(c10::Device device) {
  return stats_of(device).requested_bytes[kAll];
}

}  // namespace

struct TorchDevice::State {
  explicit State(const DeviceSpec& spec) : threads(spec.threads), device(device_of(spec)) {
    if (device.is_cpu()) return;
    at::globalContext().lazyInitDevice(device.type());
    const c10::impl::VirtualGuardImpl guard(device.type());
    for (int queue = 0; queue < 3; ++queue) {
      streams.push_back(guard.getStreamFromGlobalPool(device, /*isHighPriority=*/false));
    }
  }
  [[nodiscard]] const c10::Stream& stream(Queue queue) const {
    return streams[static_cast<std::size_t>(queue)];
  }

  int threads;
  c10::Device device;
  std::vector<c10::Stream> streams;  // By queue; none on the CPU.
  at::Tensor filler;
};

TorchDevice::TorchDevice(const DeviceSpec& spec) : state_(std::make_unique<State>(spec)) {}
TorchDevice::~TorchDevice() = default;

bool TorchDevice::is_cpu() const { return state_->device.is_cpu(); }

void TorchDevice::enter(Queue queue) const {
  at::set_num_threads(state_->threads);
  if (is_cpu()) return;
  const c10::impl::VirtualGuardImpl guard(state_->device.type());
  guard.setDevice(state_->device);
  (void)guard.exchangeStream(state_->stream(queue));
}

std::size_t TorchDevice::host_threads() const {
  return is_cpu() ? static_cast<std::size_t>(state_->threads) : default_threads();
}

void TorchDevice::warm_up() const {
  if (is_cpu()) return;
  constexpr std::int64_t kWidth = 256;
  const at::AutoGradMode graph(true);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const auto options = at::TensorOptions().dtype(type).device(state_->device);
    const at::Tensor square = at::zeros({kWidth, kWidth}, options).set_requires_grad(true);
    const at::Tensor product = at::linear(square, square, square[0]);
    (void)torch::autograd::grad({product.sum()}, {square});
  }
  synchronize();
}

void TorchDevice::let_run_ahead() const {
  if (is_cpu()) return;
  const at::NoGradGuard no_graph;
  constexpr std::int64_t kLargest = 8192;
  constexpr Duration kEnough = std::chrono::milliseconds(1);
  at::Tensor& filler = state_->filler;
  for (std::int64_t width = 256; !filler.defined() && width <= kLargest; width *= 2) {
    const at::Tensor square = empty(width * width).fill_(1).view({width, width});
    (void)at::mm(square, square);  // The first of a size loads its kernel.
    Stopwatch watch(*this);
    (void)at::mm(square, square);
    watch.mark();
    if (watch.laps().front() >= kEnough || width == kLargest) filler = square;
  }
  (void)at::mm(filler, filler);
}

void TorchDevice::synchronize(Queue queue) const {
  if (!is_cpu()) wait_for(state_->stream(queue));
}

void TorchDevice::synchronize() const {
  if (is_cpu()) return;
  wait_for(c10::impl::VirtualGuardImpl(state_->device.type()).getStream(state_->device));
}

at::Tensor TorchDevice::empty(std::int64_t floats) const {
  return at::empty({floats}, at::TensorOptions().dtype(at::kFloat).device(state_->device));
}

at::Tensor TorchDevice::host_zeros(std::int64_t floats) const {
  return at::zeros({floats}, at::TensorOptions().dtype(at::kFloat).pinned_memory(!is_cpu()));
}

void TorchDevice::copy(at::Tensor& to, const at::Tensor& from) const {
  assert(to.nbytes() == from.nbytes());
  if (is_cpu()) {
    std::memcpy(to.data_ptr<float>(), from.const_data_ptr<float>(), from.nbytes());
    return;
  }
  const at::NoGradGuard no_graph;
  to.view({-1}).copy_(from.view({-1}), /*non_blocking=*/true);
}

at::Tensor TorchDevice::move_in(const at::Tensor& host) const {
  return is_cpu() ? host : host.to(state_->device);
}

std::optional<double> TorchDevice::allocator_rounding() const {
  if (is_cpu()) return std::nullopt;
  const auto stats = stats_of(state_->device);
  const auto asked = stats.requested_bytes[kAll].peak, taken = stats.allocated_bytes[kAll].peak;
  if (asked <= 0) return std::nullopt;
  return std::max(0.0, static_cast<double>(taken) / static_cast<double>(asked) - 1);
}

void TorchDevice::release_unused() const {
  if (!is_cpu()) at::getDeviceAllocator(state_->device.type())->emptyCache();
}

MemoryMeter::MemoryMeter(const TorchDevice& device, Bytes limit)
    : device_(device), account_(device.is_cpu() ? limit : kUnlimited) {
  restart();
}

void MemoryMeter::restart() {
  before_ += current();
  reset_peak();
}

Bytes MemoryMeter::current() const {
  return (device_.is_cpu() ? account_.current() : held(device_.state_->device).current) - before_;
}

Bytes MemoryMeter::peak() const {
  return (device_.is_cpu() ? account_.peak() : held(device_.state_->device).peak) - before_;
}

void MemoryMeter::reset_peak() {
  account_.reset_peak();
  if (device_.is_cpu()) return;
  const c10::Device device = device_.state_->device;
  at::getDeviceAllocator(device.type())->resetPeakStats(device.index());
}

struct Stopwatch::Marks {
  std::vector<std::chrono::steady_clock::time_point> instants;  // On the CPU.
  std::vector<c10::Event> events;                               // On an accelerator.
};

Stopwatch::Stopwatch(const TorchDevice& device)
    : device_(device), marks_(std::make_unique<Marks>()) {
  mark();
}

Stopwatch::~Stopwatch() = default;

void Stopwatch::mark() {
  if (device_.is_cpu()) {
    marks_->instants.push_back(std::chrono::steady_clock::now());
    return;
  }
  const c10::Device device = device_.state_->device;
  marks_->events.emplace_back(device.type(), c10::EventFlag::BACKEND_DEFAULT)
      .record(device_.state_->stream(TorchDevice::Queue::kCompute));
}

std::vector<Duration> Stopwatch::laps() {
  std::vector<Duration> laps;
  for (std::size_t i = 1; i < marks_->instants.size(); ++i) {
    laps.emplace_back(marks_->instants[i] - marks_->instants[i - 1]);
  }
  if (!marks_->events.empty()) marks_->events.back().synchronize();
  for (std::size_t i = 1; i < marks_->events.size(); ++i) {
    const double milliseconds = marks_->events[i - 1].elapsedTime(marks_->events[i]);
    laps.emplace_back(std::llround(milliseconds * 1e6));
  }
  return laps;
}

}  // namespace shardlab
