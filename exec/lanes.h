#pragma once

#include <condition_variable>
#include <deque>
#include <thread>
#include <variant>

#include "core/time.h"
#include "sched/backend.h"
#include "sched/link.h"

/// What a Runtime knows of its devices' threads. All of it under the Runtime's lock.
namespace shardlab {

/// What a thread does now.
struct LaneTask {
  Instant since{};
  Duration limit = Duration::max();
};

/// The thread that computes.
struct ComputeLane {
  using Order = std::variant<std::monostate, UnitRun, Transfer>;
  Order order;
  bool prepared = false, working = false, ended = false;
  LaneTask task;
  std::condition_variable has_order;
  std::thread thread;
};

/// A thread that copies beside the lane: one per link of a device with copy engines, and one for
/// what a device sends straight to others.
struct CopyEngine {
  struct Request {
    Transfer transfer;
    Instant asked;
  };
  std::deque<Request> queue;
  DeviceId to = kNoDevice;  ///< Of what it sends straight to another device now.
  Instant free{};           ///< When its last copy ended.
  bool prepared = false, working = false, ended = false;
  LaneTask task;
  std::condition_variable has_work;
  std::thread thread;
};

/// A copy on its way through a paced link.
struct Passing {
  Transfer transfer;
  Link::Passage passage;
};

}  // namespace shardlab
