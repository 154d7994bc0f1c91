#include "traces/vtrain_file.h"

#include <fmt/format.h>

#include "core/error.h"
#include "traces/atomic_file.h"
#include "traces/csv.h"

namespace shardlab {
namespace {

/// Beyond any real machine; products of three of them still fit 64 bits.
constexpr std::int64_t kMost = 1'000'000;
constexpr std::int64_t kMostMicrobatches = 10'000;

class RowReader {
 public:
  RowReader(std::string_view text, const std::string& origin) : csv_(text, origin) {}

  bool next() { return csv_.next(); }

  [[nodiscard]] VtrainRow row() const {
    VtrainRow row;
    row.line = csv_.line();
    row.gpt = {count("hidden size"), count("attention heads"), count("# layers"),
               count("sequence length")};
    row.layout = {count("global batch"), count("micro batch"), count("tensor parallelism"),
                  count("data parallelism"), count("pipeline parallelism")};
    row.measured_s = milliseconds("iteration time (ms)") * 1e-3;
    in_context(csv_.place(), [&] { check(row, count("# GPUs")); });
    return row;
  }

 private:
  [[nodiscard]] std::int64_t count(std::string_view name) const {
    const std::size_t column = csv_.column(name);
    return in_context(csv_.place(column), [&] {
      const std::int64_t value = csv_integer(csv_[column]);
      if (value < 1 || value > kMost) {
        throw Error(fmt::format("must be 1 to {}, is {}", kMost, value));
      }
      return value;
    });
  }

  [[nodiscard]] double milliseconds(std::string_view name) const {
    const std::size_t column = csv_.column(name);
    return in_context(csv_.place(column), [&] {
      const double value = csv_number(csv_[column]);
      if (value <= 0 || value > 1e9) {
        throw Error(fmt::format("must be above 0 and up to 1e9, is {}", value));
      }
      return value;
    });
  }

  static void check(const VtrainRow& row, std::int64_t gpus) {
    const ParallelLayout& layout = row.layout;
    if (gpus != layout.devices()) {
      throw Error(fmt::format("{} GPUs, but tensor x data x pipeline parallelism is {} x {} x {}",
                              gpus, layout.tensor, layout.data, layout.pipeline));
    }
    if (layout.global_batch % (layout.data * layout.micro_batch) != 0) {
      throw Error(fmt::format("a batch of {} does not divide into {} replicas' microbatches of {}",
                              layout.global_batch, layout.data, layout.micro_batch));
    }
    if (layout.microbatches() > kMostMicrobatches) {
      throw Error(fmt::format("{} microbatches per minibatch; at most {}", layout.microbatches(),
                              kMostMicrobatches));
    }
    if (row.gpt.layers % layout.pipeline != 0) {
      throw Error(
          fmt::format("{} layers do not divide into {} stages", row.gpt.layers, layout.pipeline));
    }
  }

  CsvReader csv_;
};

}  // namespace

std::string VtrainRow::name() const {
  return fmt::format("line {}: h{} l{} dp{} pp{} b{} mb{}", line, gpt.hidden, gpt.layers,
                     layout.data, layout.pipeline, layout.global_batch, layout.micro_batch);
}

std::vector<VtrainRow> parse_vtrain(std::string_view text, const std::string& origin) {
  RowReader reader(text, origin);
  std::vector<VtrainRow> rows;
  while (reader.next()) rows.push_back(reader.row());
  if (rows.empty()) throw Error(origin + ": has no rows below its header");
  return rows;
}

std::vector<VtrainRow> read_vtrain(const std::string& path) {
  return parse_vtrain(read_whole_file(path), path);
}

}  // namespace shardlab
