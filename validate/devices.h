#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "fit/device_ratio.h"
#include "traces/data_sheet_file.h"
#include "validate/validation.h"

namespace shardlab {

/// One pass of a model through all stages, for one sample, predicted from another device.
struct DevicePrediction {
  ValidatedRun run;  ///< Name: "bert-huge-uncased forward, a100 to a40".
  double low_s = 0, high_s = 0;

  [[nodiscard]] bool covered() const { return low_s <= run.measured_s && run.measured_s <= high_s; }
};

struct DeviceValidation {
  std::vector<DevicePrediction> predictions;  ///< By name.
  std::vector<std::string> warnings;          ///< Which runs have no counterpart.

  [[nodiscard]] double coverage() const;  ///< Share of the predictions whose interval holds.
};

/// Reads every *.prof.json in `folder`, at any depth; the first folder below is the device, by name
/// or alias of a data sheet. Of each model, layout and device the run that computes fastest counts:
/// the one at full clocks. Passes per sample are predicted from every other device by
/// device_ratio() alone, no parameter is fitted. A model that the other device did not run is
/// predicted from a relative, by operations (see `relative_work`).
/// Throws Error for a folder that is not there or holds no pair, and a device without sheet.
DeviceValidation validate_devices(const std::string& folder, const std::vector<DataSheet>& sheets,
                                  MatrixRate rate, std::size_t threads);

/// Operations per token of a model of the GPT-3 family over another's: 24 l w² + 4 l w context +
/// 2 w vocabulary (arXiv 2104.04473, §5.1), by the sizes of "gpt3-xl", "gpt3-2.7b" and so on in
/// Brown et al., arXiv 2005.14165, table 2.1. 1 for the same name, 0 for no relatives.
double relative_work(const std::string& model, const std::string& other);

/// For a terminal, and for --json.
std::string devices_text(const DeviceValidation& found);
nlohmann::ordered_json devices_validation_json(const DeviceValidation& found);

}  // namespace shardlab
