#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/timeline.h"
#include "sched/program.h"
#include "tests/reference_disk.h"
#include "tests/reference_memory.h"

/// A second simulator, slow and obvious, to hold the fast one against: plain loops over everything
/// at every instant, nothing indexed, sums taken anew. Written from docs/design.md; it shares the
/// structs of a lowered plan and of a timeline with the fast one, and no code.
namespace shardlab::reference {

struct Result {
  std::vector<UnitSpan> units;   ///< In order of their end.
  std::vector<CopySpan> copies;  ///< In order of their end.
  std::vector<Instant> ends;     ///< Per job.
  std::vector<Duration> busy;    ///< Per device: computing.
  std::vector<Bytes> peak;       ///< Per device: most that was reserved.
  Bytes promoted = 0, demoted = 0, between_devices = 0, host_peak = 0;
  Bytes read = 0, written = 0;  ///< By the disk.
  Instant makespan{};
};

/// latency + bytes/rate, rounded up to the next nanosecond; rate 0: the bytes take no time.
Duration copy_time(Bytes bytes, Duration latency, double rate);

/// Runs a plan that fits to its end. Policies: lrtf, srtf, fifo, round_robin, random (with seed 1),
/// below priorities.
class Simulation {
 public:
  Simulation(const Program& program, const Cluster& cluster, std::string policy,
             Fault fault = Fault::kNone);
  /// Throws std::runtime_error when nothing can happen any more although jobs are left.
  Result run();

 private:
  struct Job {
    enum class State : std::uint8_t { kWaiting, kRunning, kFlushing, kEnded } state{};
    std::size_t home = 0;  ///< Of a resident job.
  };
  /// Units of a job that run in order, minibatch after minibatch.
  struct Track {
    std::size_t job = 0;
    std::int64_t first = 0, count = 0;  ///< Of the job's units.
    std::int64_t done = 0;
    bool ready = false;  ///< Its next unit.
    Instant ready_since{};
    std::int64_t last_turn = 0;  ///< Under round_robin.
  };
  /// An item between host and device.
  struct Passage {
    Move move;
    CopySpan span;
    bool loaded = false;
    enum class Where : std::uint8_t {
      kWaitsForRoom,
      kLink,
      kWaitsForLane,
      kLane,
      kWaitsForStep,
      kSteps,
    } where{};
    std::int64_t order = 0;  ///< When it joined the queue that it is in.
  };
  struct Choice {
    std::size_t track = 0;
    bool ahead = false;  ///< Its predecessor still runs.
  };

  // What happened: reference_events.cc.
  [[nodiscard]] Instant next_instant() const;
  /// Returns whether anything happened.
  bool take_in();
  void unit_done(const Claim& ended);
  void make_ready(std::size_t track);
  void end_flushed_jobs();
  void ask_for_link(std::size_t id);
  void leave_host(const std::vector<std::size_t>& by_lane, const std::vector<std::size_t>& by_link);
  void enter_links();
  void join_link(Passage& passage);
  [[nodiscard]] bool takes_link(std::size_t device) const;
  void join_lane(Passage& passage);
  void link_done(std::size_t id);
  void lane_copy_done(std::size_t id);
  void start_steps();
  void complete(std::size_t id);
  void start_moves();

  // What is decided: reference.cc.
  void decide();
  void admit_waiting();
  bool admit(std::size_t job);
  void give_back_late_claims();
  void fill_slots(bool buffers);
  [[nodiscard]] std::vector<Choice> choices(std::size_t device, bool buffers) const;
  [[nodiscard]] bool ends_in_time(std::size_t track, const Claim& before) const;
  bool claim_one(std::size_t device, bool buffers);
  void settle();
  bool go_on();
  bool go_on(std::size_t device);
  bool reserve(std::size_t device);
  [[nodiscard]] bool has_rested(std::size_t device) const;
  bool start_lane_copy(std::size_t device);
  bool start_unit(std::size_t device);
  void set_paces();
  [[nodiscard]] double slowness(std::size_t device) const;
  [[nodiscard]] Duration repeated(const Claim& ended) const;
  void note_peaks();

  // What is asked of the state.
  [[nodiscard]] const Unit& unit_of(const Claim& claim) const;
  [[nodiscard]] UnitCost cost_of(const Claim& claim) const;
  [[nodiscard]] Duration expected(const Claim& claim) const;
  [[nodiscard]] std::uint32_t unit_after(const Track& track, std::int64_t done) const;
  [[nodiscard]] std::int64_t length(const Track& track) const;
  [[nodiscard]] bool unblocked(const Track& track, std::int64_t done) const;
  [[nodiscard]] std::int64_t minibatches_done(std::size_t job) const;
  [[nodiscard]] Duration remaining(const Track& track, std::int64_t done) const;
  [[nodiscard]] std::int64_t rank(const Choice& choice) const;
  [[nodiscard]] std::vector<Claim> claims_of(std::size_t track) const;
  [[nodiscard]] std::vector<Claim*> claims_on(std::size_t device);
  [[nodiscard]] const Claim* running_on(std::size_t device) const;
  [[nodiscard]] bool lane_is_free(std::size_t device) const;
  [[nodiscard]] bool runs(const Track& track) const;
  [[nodiscard]] bool looks_ahead() const;
  [[nodiscard]] bool loaded() const;
  [[nodiscard]] bool copies_take_lane(std::size_t device) const;
  [[nodiscard]] std::size_t queue(const Move& move) const;
  [[nodiscard]] LinkSpec link_of(const Move& move) const;

  const Program& program_;
  const Cluster& cluster_;
  std::string policy_;
  Fault fault_;
  bool tracks_memory_;
  Memory memory_;
  std::optional<Disk> disk_;
  Instant now_{};
  std::vector<Job> jobs_;
  std::vector<Track> tracks_;  ///< Of all jobs, those of lower jobs first.
  std::vector<Claim> claims_;  ///< In the order of claiming.
  std::vector<Claim> ended_;   ///< In this instant.
  std::map<std::size_t, Passage> passages_;
  std::map<std::size_t, Instant> link_free_;   ///< Per queue().
  std::map<std::size_t, Instant> lane_ended_;  ///< Per device: what it did last.
  std::int64_t claims_made_ = 0, turns_ = 0, joined_ = 0;
  std::size_t passages_made_ = 0;
  Result result_;
};

}  // namespace shardlab::reference
