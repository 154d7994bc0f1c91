#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/model.h"
#include "core/time.h"

namespace shardlab {

/// What a kernel of matrix products computes in, by its name: of cuBLAS, cuDNN and CUTLASS
/// ("ampere_sgemm_128x64_nn", "cutlass_80_tensorop_s1688gemm_...", "..._bf16_s16816gemm_bf16_..."),
/// of Hopper's nvjet ("nvjet_tst_...") and of Tensile ("Cijk_Ailk_Bljk_SB_..."). None where it is
/// no such kernel or its name does not say it.
std::optional<Precision> kernel_precision(std::string_view name);

/// What an operator's input of that type computes in, "c10::BFloat16" or "c10::Half". None of
/// "float": that is fp32 or tf32.
std::optional<Precision> input_precision(std::string_view types);

/// In what a trace's matrix products were computed: what nine tenths of them agree on.
class PrecisionTally {
 public:
  void kernel(std::string_view name, Duration time);
  void operation(std::string_view types);  ///< A matrix product's; asked where no kernel says it.

  [[nodiscard]] std::optional<Precision> found() const;
  /// How that is known, or why it is not, for Provenance::notes; empty where nothing says it.
  [[nodiscard]] std::string note() const;

 private:
  static constexpr std::size_t kKinds = 4;
  using Shares = std::array<double, kKinds>;  ///< By Precision.

  [[nodiscard]] const Shares& shares() const;
  [[nodiscard]] bool by_kernels() const;

  Shares kernels_{}, operations_{};  ///< Nanoseconds; counts.
  /// Names come again and again.
  std::unordered_map<std::string, std::optional<Precision>> known_;
  std::string last_;
  std::optional<Precision> last_precision_;
};

}  // namespace shardlab
