#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "validate/pipeline_replay.h"
#include "validate/validation.h"

namespace shardlab {

/// What the names of all profiles end in.
constexpr std::string_view kProfileSuffix = ".prof.json";

/// The overheads of one machine, fitted on one half of its runs.
struct PerseusFit {
  std::string machine;
  char half = 'a';       ///< On which it was fitted; the runs of the other one are predicted by it.
  std::size_t runs = 0;  ///< 0: there was nothing to fit on, so the overheads are none.
  PipelineOverheads overheads;
};

/// One run, predicted by overheads to which it contributed nothing.
struct PerseusPrediction {
  ValidatedRun replay;  ///< By what each pass of each iteration took; medians over iterations.
  ValidatedRun plain;   ///< The same without overheads.
  /// The second half of the iterations, by medians per stage over the first; needs two iterations.
  std::optional<ValidatedRun> blind;
  std::string machine;
  char half = 'a';
};

/// Paths of all *.prof.json below `folder`, at any depth, sorted and relative to it. Throws Error
/// for a folder that is not there or holds none.
std::vector<std::filesystem::path> perseus_files(const std::string& folder);

/// A file that is no profile.
struct PerseusRefused {
  std::string name;    ///< Path below the folder, with slashes.
  std::string reason;  ///< Begins with the whole path.
};

struct PerseusValidation {
  std::vector<PerseusPrediction> runs;  ///< By name.
  std::vector<PerseusFit> fits;         ///< By machine and half.
  std::vector<PerseusRefused> refused;  ///< By name; in no half.
  std::vector<std::string> warnings;
};

/// Reads every *.prof.json in `folder`, at any depth, and predicts its time per iteration.
///
/// A machine is the first folder below `folder` that a path names (or `folder` itself) and the
/// number of stages; within it the runs, in the order of their names, belong to halves a and b in
/// turn. Same files, same result, whatever `threads` is. What is wrong with one
/// file is in `refused`. Throws Error for a folder that is not there or holds no such file, and
/// where all are wrong.
PerseusValidation validate_perseus(const std::string& folder, std::size_t threads);

}  // namespace shardlab
