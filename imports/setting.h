#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "imports/imported.h"

namespace shardlab {

/// What the user says of a cost: `LAYER.FIELD=VALUE`, where LAYER is the name of layers, or else a
/// shell pattern of names, or `FIELD=VALUE` of the model (`input_bytes`) or the host (`copy`,
/// `copy_back`, `unit_overhead_ns`, `dispatch_ns`). FIELD is as in a profile; `activation_bytes` is
/// `output_bytes`. VALUE is a size ("4 MiB"), a time ("1.5 ms", or nanoseconds), or of a copy its
/// latency and rate per second ("10 us + 24 GB").
struct Setting {
  std::string text;     ///< As given.
  std::string pattern;  ///< Of layers; empty: of the model or the host.
  CostField field{};
  std::int64_t value = 0;  ///< Bytes or ns.
  CopyCost copy{};
};

/// Throws UsageError on anything else.
Setting parse_setting(const std::string& text);

/// Sets them one after the other, known or not; of several for one cost the last stands. Notes "set
/// by user" say of how many layers each stands, and which of them came to nothing. Throws
/// UsageError when no layer has such a name.
void apply(const std::vector<Setting>& settings, Imported& to);

}  // namespace shardlab
