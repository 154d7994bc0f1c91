#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shardlab {

/// A GPT as vTrain's file describes it.
struct GptShape {
  std::int64_t hidden = 0, heads = 0, layers = 0, sequence = 0;
};

/// How it was laid out. A minibatch is `global_batch` sequences; each of `data` replicas takes its
/// part in microbatches of `micro_batch` sequences.
struct ParallelLayout {
  std::int64_t global_batch = 0, micro_batch = 0, tensor = 0, data = 0, pipeline = 0;

  /// Per replica and minibatch.
  [[nodiscard]] std::int64_t microbatches() const { return global_batch / data / micro_batch; }
  [[nodiscard]] std::int64_t devices() const { return tensor * data * pipeline; }
};

/// One row: how long one minibatch of a GPT took, in such a layout.
struct VtrainRow {
  std::int64_t line = 0;  ///< Of the file, from 1.
  GptShape gpt;
  ParallelLayout layout;
  double measured_s = 0;

  /// "line 17: h2048 l24 dp2 pp4 b64 mb4": unique in a file.
  [[nodiscard]] std::string name() const;
};

/// Rows of the table that the vTrain project publishes (ground_truth_single.csv): comma-separated,
/// with columns `# GPUs`, `global batch`, `micro batch`, `hidden size`, `attention heads`,
/// `# layers`, `sequence length`, `tensor parallelism`, `data parallelism`, `pipeline parallelism`
/// and `iteration time (ms)`, in any order; others are passed over.
///
/// Throws Error `file:line: column: what` on a missing column, a field that is no number or out of
/// range, GPUs that are not tensor x data x pipeline, a batch or layers that do not divide evenly,
/// and no rows.
std::vector<VtrainRow> read_vtrain(const std::string& path);

/// The same from a text; `origin` names it in errors.
std::vector<VtrainRow> parse_vtrain(std::string_view text, const std::string& origin);

}  // namespace shardlab
