#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "core/cluster.h"
#include "core/time.h"
#include "sched/backend.h"

namespace shardlab {

/// Optimizer steps on the host, once their gradients have come over their links: each node's one at
/// a time, first come, first served.
class HostSteps {
 public:
  explicit HostSteps(const Cluster& cluster);

  /// A gradient enters its link; `takes`: its step.
  void expect(const Transfer& transfer, Duration takes);
  /// What is on the link is such a gradient.
  [[nodiscard]] bool expects(TransferId id) const {
    return id < gradients_.size() && gradients_[id].expected;
  }
  /// It has come over its link, now.
  void start(TransferId id, Instant from, Instant now);
  /// When a step ends next; kNever: none is under way.
  [[nodiscard]] Instant next() const;
  /// Ends those that end by `now` and starts the next ones.
  [[gnu::noinline]] void end(Instant now);
  /// By the last call of end().
  [[nodiscard]] std::span<const HostStepped> ended() const { return ended_; }
  /// Gradients of the device are of no use any more: a step under way comes to its end, for nobody.
  void lose(DeviceId device);

 private:
  struct Gradient {
    DeviceId device{};
    Duration takes{};
    bool expected = false;
  };
  struct Step {
    HostStepped done;
    DeviceId device{};
    Duration takes{};
    bool lost = false;
  };
  struct Host {
    std::deque<Step> steps;  ///< The first is under way.
    Instant ends{};          ///< It.
  };
  void begin(Host& host, Instant now);

  std::vector<std::uint16_t> node_of_;  ///< Per device; empty: all of one.
  std::vector<Host> hosts_;             ///< By node.
  std::vector<Gradient> gradients_;     ///< By TransferId.
  std::vector<HostStepped> ended_;
};

}  // namespace shardlab
