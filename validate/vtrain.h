#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "traces/vtrain_file.h"
#include "validate/gpt_cost.h"
#include "validate/validation.h"

namespace shardlab {

/// Measured minibatches of GPTs, held against the simulator.
struct VtrainValidation {
  struct Run {
    VtrainRow row;
    double predicted_s = 0;
    bool held_out = false;  ///< Not among those that the costs were fitted on.
  };
  std::uint64_t seed = 0;
  GptCost cost;
  std::vector<Run> runs;        ///< In the order of the file.
  std::size_t passed_over = 0;  ///< Rows with tensor parallelism, or of more than one machine.

  [[nodiscard]] ErrorSummary held_out() const { return errors(true); }
  [[nodiscard]] ErrorSummary fitted() const { return errors(false); }

 private:
  [[nodiscard]] ErrorSummary errors(bool held_out) const;
};

/// Fits the machine's costs on a tenth of the rows, drawn by `seed`, and predicts all of them by
/// simulation. Rows with tensor parallelism, and of more than kMachineDevices, are passed over:
/// the costs hold for whole layers on a GPU and for links within a machine.
/// Throws Error when fewer than 10 rows per cost are left.
VtrainValidation validate_vtrain(const std::vector<VtrainRow>& rows, std::uint64_t seed);

/// One line about the rows, the fitted costs, the errors, and the ten worst of the rows held out.
std::string vtrain_text(const VtrainValidation& validation);

/// {"seed", "fitted", "passed_over", "parameters", "median", "p95", "worst", "runs"}; errors are of
/// the rows held out, `runs` are all.
nlohmann::ordered_json vtrain_json(const VtrainValidation& validation);

}  // namespace shardlab
