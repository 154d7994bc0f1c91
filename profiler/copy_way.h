#pragma once

#include <functional>
#include <memory>
#include <span>

#include "models/torch_device.h"
#include "profiler/copy_bench.h"
#include "profiler/link_bench.h"
#include "profiler/worker.h"

namespace shardlab {

/// One way of one device, copying in a thread and a queue of its own.
class CopyWay {
 public:
  /// Keeps references to `device` and, of a copy to a peer, `peer`.
  CopyWay(const TorchDevice& device, const TorchDevice* peer, LinkCost link, Bytes largest);

  /// Fills what a link costs alone.
  void measure(int rounds);
  /// Bytes per second of the largest size alone; measured once.
  double alone(int rounds);

  [[nodiscard]] const LinkCost& link() const { return link_; }
  LinkCost& link() { return link_; }

 private:
  friend std::vector<double> rates_together(std::span<CopyWay* const> ways, int rounds);
  friend void while_copying(CopyWay& way, const std::function<void()>& body);
  [[nodiscard]] double rate(int rounds);
  void copy_all_sizes(std::vector<CopySample>& samples);
  void copy_largest();

  const TorchDevice& device_;
  LinkCost link_;
  double alone_ = 0;
  std::unique_ptr<CopyBench> bench_;
  Worker worker_;  // Ends before what it uses.
};

/// Bytes per second of each of the largest size while all copy, each until all have been timed.
std::vector<double> rates_together(std::span<CopyWay* const> ways, int rounds);

/// Runs `body` on this thread while `way` copies one large piece after another.
void while_copying(CopyWay& way, const std::function<void()>& body);

}  // namespace shardlab
