#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/model.h"

namespace shardlab {

/// What matrix products are computed in: which of a GPU's rates they are held to.
enum class MatrixRate : std::uint8_t {
  kFp32,  ///< Without tensor cores, as LibTorch computes fp32 unless told otherwise.
  kTf32,  ///< fp32 numbers on tensor cores.
  kHalf,  ///< fp16 or bf16 on tensor cores.
};

constexpr MatrixRate rate_of(Precision precision) {
  if (precision == Precision::kTf32) return MatrixRate::kTf32;
  return precision == Precision::kFp32 ? MatrixRate::kFp32 : MatrixRate::kHalf;
}

/// What a manufacturer says of a device. Dense rates, without sparsity, at boost clocks.
struct DataSheet {
  std::string name;                     ///< As its driver calls it.
  std::vector<std::string> aliases;     ///< Other names that mean it.
  double fp32 = 0, tf32 = 0, half = 0;  ///< FLOP per second; 0: the sheet has no such rate.
  double bytes_per_second = 0;          ///< Of its memory.
  double host_bytes_per_second = 0;     ///< Of its link to the host, one direction.
  std::string source;

  /// Throws Error when the sheet has no such rate.
  [[nodiscard]] double flops(MatrixRate rate) const;
};

std::string to_string(MatrixRate rate);  ///< "fp32", "tf32", "half"
MatrixRate parse_matrix_rate(const std::string& name);

/// Data sheets of devices. Throws Error naming file, line and key.
std::vector<DataSheet> read_data_sheets(const std::string& path);
std::vector<DataSheet> parse_data_sheets(std::string_view text, const std::string& origin);

/// The sheet with this name or alias, in whatever case. Throws Error with the nearest name.
const DataSheet& find_sheet(const std::vector<DataSheet>& sheets, const std::string& name);

}  // namespace shardlab
