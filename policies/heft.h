#pragma once

#include <vector>

#include "sched/candidate_front.h"

namespace shardlab {

/// Heterogeneous earliest finish time, decided as units become ready: units in the order of their
/// upward rank, which in a chain is the remaining time, each go to the device that would end them
/// first, copies of what it lacks included. A device takes the first that comes to it and leaves
/// the others to theirs, idle if there is none for it.
/// Source: Topcuoglu, Hariri and Wu, "Performance-effective and low-complexity task scheduling for
/// heterogeneous computing" (2002). Theirs plans all units beforehand, and fills gaps.
class Heft final : public Policy {
 public:
  explicit Heft(std::size_t tracks) : order_(tracks), waiting_(tracks) {}

  void begin(const StateView& view) override;
  void ready(const Candidate& unit) override;
  void gone(TrackId track) override { order_.clear(track, waiting_[index(track)].bound); }
  TrackId pick(const DeviceView& device) override;
  [[nodiscard]] bool lookahead() const override { return true; }

 private:
  struct Waiting {
    JobId job{};
    std::uint32_t unit = 0;
    DeviceId bound = kNoDevice;
  };
  struct Place {
    std::size_t device;
    Instant end;
  };
  void group_devices();
  [[nodiscard]] Place best_with_copies(TrackId track, std::size_t chooser) const;
  [[nodiscard]] Place best(TrackId track, std::size_t chooser) const;
  TrackId first_best_here(DeviceId chooser);
  void foresee();
  void find_first(std::size_t kind);

  const StateView* view_ = nullptr;
  CandidateFront order_;
  std::vector<Waiting> waiting_;                 ///< Per track, what was offered last.
  std::vector<std::vector<std::size_t>> kinds_;  ///< Devices by class, in their order.
  std::vector<std::size_t> kind_of_;             ///< Per device.
  std::vector<Duration> times_;                  ///< Per track and kind, of what was offered last.
  std::vector<LinkSpec> links_;                  ///< All that differ, if there are copies.
  std::vector<std::size_t> link_of_;             ///< Per device, one of them.
  std::vector<Bytes> reads_;          ///< Per track, with copies, of what was offered last,
  std::vector<Duration> copy_times_;  ///< and per link, how long all that takes.
  std::vector<Instant> free_at_;      ///< Per device, with what this choice gave it.
  std::vector<std::size_t> first_;    ///< Per kind, the device that is free first.
  bool alike_ = false;                ///< All devices are of one class, and data is everywhere.
  bool copies_ = false;               ///< Some link is paced.
};

}  // namespace shardlab
