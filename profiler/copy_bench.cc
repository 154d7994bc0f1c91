#include "profiler/copy_bench.h"

#include <algorithm>
#include <unistd.h>

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include "profiler/samples.h"

namespace shardlab {
namespace {

constexpr std::int64_t kSmallest = std::int64_t{64} << 10;
constexpr std::int64_t kLargest = std::int64_t{16} << 20;
constexpr std::int64_t kLargestAccelerated = std::int64_t{256} << 20;

/// Floats of an array that no cache holds.
std::int64_t array_floats(const TorchDevice& device, Bytes largest) {
  constexpr std::int64_t kAtMost = std::int64_t{256} << 20;
  const std::int64_t cache = std::max(sysconf(_SC_LEVEL3_CACHE_SIZE), 0L);
  const std::int64_t bytes =
      device.is_cpu() ? std::clamp(2 * cache, 4 * kLargest, kAtMost) : 2 * largest;
  return bytes / static_cast<std::int64_t>(sizeof(float));
}

Bytes largest_of(const TorchDevice& device, Bytes at_most) {
  const Bytes usual = device.is_cpu() ? kLargest : kLargestAccelerated;
  if (at_most == 0) return usual;
  return std::clamp<Bytes>(at_most, 4 * kSmallest, usual);
}

}  // namespace

struct CopyBench::Arrays {
  at::Tensor host, device;
};

CopyBench::CopyBench(const TorchDevice& device, bool pinned, Bytes at_most)
    : device_(device), largest_(largest_of(device, at_most)), arrays_(std::make_unique<Arrays>()) {
  const std::int64_t floats = array_floats(device, largest_);
  arrays_->host = pinned ? device.host_zeros(floats) : at::zeros({floats}, at::kFloat);
  arrays_->device = device.empty(floats).zero_();
  device.synchronize();
}

CopyBench::CopyBench(const TorchDevice& device, const TorchDevice& peer, Bytes at_most)
    : device_(device), largest_(largest_of(device, at_most)), arrays_(std::make_unique<Arrays>()) {
  const std::int64_t floats = array_floats(device, largest_);
  arrays_->host = peer.empty(floats).zero_();
  peer.synchronize();
  arrays_->device = device.empty(floats).zero_();
  device.synchronize();
}

CopyBench::~CopyBench() = default;

void CopyBench::to_device(std::vector<CopySample>& samples) { run(false, samples); }
void CopyBench::to_host(std::vector<CopySample>& samples) { run(true, samples); }

Duration CopyBench::largest(bool to_device) { return copy(!to_device, largest_bytes()); }

Bytes CopyBench::largest_bytes() const { return largest_; }

void CopyBench::run(bool back, std::vector<CopySample>& samples) {
  if (!device_.is_cpu()) (void)copy(back, kSmallest);  // The first of a row takes twice as long.
  for (Bytes bytes = kSmallest; bytes <= largest_bytes(); bytes *= 4) {
    samples.push_back({bytes, copy(back, bytes)});
  }
}

Duration CopyBench::copy(bool back, Bytes bytes) {
  const std::int64_t floats = bytes / static_cast<std::int64_t>(sizeof(float));
  if (at_ + floats > arrays_->host.numel()) at_ = 0;
  at::Tensor host = arrays_->host.narrow(0, at_, floats);
  at::Tensor here = arrays_->device.narrow(0, at_, floats);
  at_ += floats;
  return timed([&] {
    device_.copy(back ? host : here, back ? here : host);
    device_.synchronize();
  });
}

}  // namespace shardlab
