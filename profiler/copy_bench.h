#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/torch_device.h"
#include "profiler/copy_cost.h"

namespace shardlab {

/// Copies between host memory and a device's as the executor does. Each copy takes the next piece
/// of arrays larger than the caches, so that source and destination are cold.
class CopyBench {
 public:
  /// Keeps a reference to `device`. `pinned`: an accelerator's copies are from and to page-locked
  /// host memory, else what the system may move.
  /// `at_most`: bytes of the largest copy, at least 256 KiB; 0: as below.
  explicit CopyBench(const TorchDevice& device, bool pinned = true, Bytes at_most = 0);
  /// From `device` to `peer`, both accelerators: to_host() copies to the peer, to_device() back.
  CopyBench(const TorchDevice& device, const TorchDevice& peer, Bytes at_most = 0);
  ~CopyBench();
  CopyBench(const CopyBench&) = delete;
  CopyBench& operator=(const CopyBench&) = delete;

  /// One copy of each size from 64 KiB to 16 MiB, to 256 MiB for an accelerator, in the queue that
  /// this thread entered.
  void to_device(std::vector<CopySample>& samples);
  void to_host(std::vector<CopySample>& samples);

  /// One copy of the largest size.
  Duration largest(bool to_device);
  [[nodiscard]] Bytes largest_bytes() const;

 private:
  struct Arrays;
  void run(bool back, std::vector<CopySample>& samples);
  Duration copy(bool back, Bytes bytes);

  const TorchDevice& device_;
  Bytes largest_;
  std::unique_ptr<Arrays> arrays_;
  std::int64_t at_ = 0;
};

}  // namespace shardlab
