#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint.h"
#include "core/workload.h"

namespace shardlab {

/// What decides how a job trains: names and values. Two jobs of one identity train to the same
/// bits.
using Identity = std::vector<std::pair<std::string, std::string>>;

/// Of a job on data of this hash. Its length is no part of it: a job may be resumed to go on
/// longer.
Identity identity_of(const Job& job, std::uint64_t data_hash);

/// "seed: 1 in the checkpoint, 2 in the workload", of the first that differs; empty if none does.
std::string difference(const Identity& kept, const Identity& wanted);

/// Writes `folder`/job-J.MINIBATCH.checkpoint, checksummed; atomic and lasting, see
/// write_file_atomically. Of the job's earlier files the newest is kept too; later ones, left over
/// where a job began anew, are neither counted nor touched. Throws Error with the path and the
/// reason; then all that was there is there still.
void write_checkpoint(const std::string& folder, std::size_t job, const Identity& identity,
                      const Checkpoint& checkpoint);

/// How many jobs, from the first to the last of which there is one, have checkpoints in `folder`.
std::size_t checkpointed_jobs(const std::string& folder);

/// Removes checkpoints, and left-overs of killed writers; `temporary_only`: those alone. What
/// cannot be removed stays.
void remove_checkpoints(const std::string& folder, bool temporary_only);

/// A file that has a checkpoint's name and is none that is whole.
struct DamagedCheckpoint {
  std::string path;
  std::string problem;  ///< With the path.
};

/// Renames it to `path`.damaged, so that nobody takes it for a checkpoint. What cannot be renamed
/// stays.
void set_aside(const DamagedCheckpoint& damaged);

/// A checkpoint as it lies in a file, which is mapped as long as this lives.
class CheckpointFile {
 public:
  /// The job's newest one that is whole and after no more than so many minibatches, or nothing.
  /// Adds to `damaged` each newer one of these that is not.
  static std::optional<CheckpointFile> newest(const std::string& folder, std::size_t job,
                                              std::vector<DamagedCheckpoint>& damaged,
                                              std::int64_t most = INT64_MAX);
  /// Throws Error with the path and what is wrong: cut off, a checksum that does not match.
  explicit CheckpointFile(const std::string& path);

  [[nodiscard]] const Checkpoint& checkpoint() const { return checkpoint_; }
  [[nodiscard]] const Identity& identity() const { return identity_; }

 private:
  std::shared_ptr<const char> bytes_;
  Checkpoint checkpoint_;
  Identity identity_;
};

}  // namespace shardlab
