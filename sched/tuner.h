#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/ids.h"

namespace shardlab {

/// Which jobs of a search over hyper-parameters stop early. The Driver lets every job run to its
/// goal, tells the tuner when it is there, and writes it back and gives its place to others while
/// the tuner has not decided.
///
/// A job is *on its way* from the beginning and whenever it goes on, until it reached its goal or
/// ended.
class Tuner {
 public:
  struct Verdict {
    JobId job{};
    bool goes_on = false;  ///< To its next goal; else it stops.
    std::string reason;    ///< Why it stops.
  };

  virtual ~Tuner() = default;

  /// How many minibatches `job`, which is on its way, completes before it asks; more than it has.
  /// No fewer than the job has in all: it ends unasked.
  [[nodiscard]] virtual std::int64_t goal(JobId job) const = 0;
  /// Before a run that goes on from checkpoints begins: `job` has reached its goal in the run
  /// before and waits for its verdict, though it may have to run there again.
  [[nodiscard]] virtual bool waits(JobId) const { return false; }
  /// `job` has completed so many minibatches, its goal, in all its tracks.
  virtual void reached(JobId job, std::int64_t minibatches) = 0;
  /// `job` has completed all its minibatches, failed, or stopped as the tuner said.
  virtual void ended(JobId job) = 0;
  /// What was decided since the last call, of jobs that reached their goal. Asked once all that
  /// happened at an instant is known. Requires of the tuner: when no job is on its way, every job
  /// has its verdict, or the run would wait for ever.
  virtual std::vector<Verdict> decide() = 0;
};

}  // namespace shardlab
