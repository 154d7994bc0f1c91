#pragma once

#include <deque>
#include <span>
#include <vector>

#include "core/cluster.h"
#include "core/time.h"
#include "sched/backend.h"
#include "sched/host_memory.h"
#include "sched/link.h"
#include "sim/costs.h"

namespace shardlab {

/// The disk below the host's memory: what a device wants and memory does not hold is read before it
/// enters the device's link, and what a device gives enters its link once memory has room. Those
/// that wait are asked in the order in which they came. Reads and writes do not slow each other;
/// each are first come, first served.
class Disk {
 public:
  struct Moved {
    Bytes read = 0, written = 0;
  };

  /// Requires: a cluster with a disk. `costs`: what reads and writes take; null: the estimate.
  Disk(const Program& program, const Cluster& cluster, Costs* costs);

  /// A transfer is asked for: it comes in ready() when it may enter its link.
  void start(const Transfer& transfer);
  /// It has passed its link, or its lane's copy after it, and needs the host's memory no more.
  void finished(TransferId id);
  /// Nothing towards the device or from it is finished any more.
  void lose(DeviceId device);

  /// A unit changes items and a job's snapshot is brought back: what the host had of them is void;
  /// is current again.
  void changed(JobId job, const Unit& unit);
  void restore(JobId job, const JobProgram& program);
  void dropped(JobId job, ItemIndex item) {
    memory_.dropped(memory_.place(job, item));
    changed_ = true;
  }

  /// When a read or write ends next; kNever: none is under way.
  [[nodiscard]] Instant next() const;
  /// Ends those that end by `now`, asks again those that wait, and returns what may enter its link,
  /// until the next call.
  std::span<const Transfer> ready(Instant now);

  [[nodiscard]] Bytes peak() const { return memory_.peak(); }
  [[nodiscard]] Moved moved() const { return moved_; }

 private:
  struct Passing {
    HostMemory::Place place = 0;
    Instant to{};
  };
  struct Queue {
    Link link;
    std::deque<Passing> passing;
  };
  /// What uses memory for a transfer.
  struct User {
    HostMemory::Place place = 0;
    DeviceId device{};
    bool fills = false;
    bool uses = false;
  };
  struct Reading {
    Transfer transfer;
    HostMemory::Place place = 0;
  };
  bool ask(const Transfer& transfer, Instant now, bool& room);
  void pass(Queue& queue, HostMemory::Place place, Direction direction, Instant now);
  void end_due(Instant now);
  void set_use(const Transfer& transfer, HostMemory::Place place);

  const DiskSpec spec_;
  Costs* costs_;
  HostMemory memory_;
  Queue reads_, writes_;
  std::deque<Transfer> waiting_;  ///< For room, or for what is read or written.
  std::vector<Reading> reading_;
  std::vector<User> users_;  ///< By TransferId.
  std::vector<Transfer> ready_;
  bool changed_ = false;  ///< Since those that wait were asked.
  Moved moved_;
};

}  // namespace shardlab
