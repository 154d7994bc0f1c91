#include "imports/kernel_precision.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <span>

#include <fmt/format.h>

namespace shardlab {
namespace {

constexpr double kMostAgree = 0.9;

bool has_any(std::string_view text, std::span<const std::string_view> parts) {
  return std::ranges::any_of(parts,
                             [&](auto part) { return text.find(part) != std::string_view::npos; });
}

bool of_products(std::string_view name) {
  constexpr std::array<std::string_view, 12> kParts{"gemm",  "gemv",  "xmma",   "cutlass",
                                                    "fprop", "dgrad", "wgrad",  "winograd",
                                                    "flash", "fmha",  "scudnn", "hcudnn"};
  return has_any(name, kParts);
}

/// Behind "nvjet_" come the types of both factors and of the product: s, t (bf16) or h.
std::optional<Precision> nvjet(std::string_view types) {
  if (types.starts_with('t')) return Precision::kBf16;
  if (types.starts_with('h')) return Precision::kFp16;
  return {};  // s: fp32 or tf32.
}

/// Behind the indices of "Cijk_Ailk_Bljk_" come the types: S, B, H, each followed by others.
std::optional<Precision> tensile(std::string_view name) {
  const std::size_t at = name.find("_B");
  const std::size_t end = at == std::string_view::npos ? at : name.find('_', at + 2);
  if (end == std::string_view::npos || end + 2 >= name.size()) return {};
  switch (name[end + 1]) {
    case 'S':
      return name[end + 2] == 'X' ? Precision::kTf32 : Precision::kFp32;
    case 'B':
      return Precision::kBf16;
    case 'H':
      return Precision::kFp16;
    default:
      return {};
  }
}

}  // namespace

std::optional<Precision> kernel_precision(std::string_view name) {
  constexpr std::string_view kNvjet = "nvjet_";
  if (name.starts_with(kNvjet)) return nvjet(name.substr(kNvjet.size()));
  if (name.starts_with("Cijk_")) return tensile(name);
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const char* other : {"at::native", "fbgemm"}) {  // Of no products, whatever their names.
    if (lower.find(other) != std::string::npos) return {};
  }
  if (!of_products(lower)) return {};
  constexpr std::array<std::string_view, 2> kBf16{"bf16", "bfloat16"};
  constexpr std::array<std::string_view, 7> kFp16{"fp16",  "f16f16", "half", "h884",
                                                  "h1688", "h16816", "hgemm"};
  // On tensor cores, m16n8k8 with fp32 sums and no type named is of tf32.
  constexpr std::array<std::string_view, 3> kTf32{"tf32", "tensorop_s1688", "ampere_s1688"};
  constexpr std::array<std::string_view, 5> kFp32{"sgemm", "scudnn", "f32f32", "<float", "float,"};
  if (has_any(lower, kBf16)) return Precision::kBf16;
  if (has_any(lower, kTf32)) return Precision::kTf32;
  if (has_any(lower, kFp16)) return Precision::kFp16;
  if (has_any(lower, kFp32)) return Precision::kFp32;
  return {};
}

std::optional<Precision> input_precision(std::string_view types) {
  const auto has = [&](const char* type) { return types.find(type) != std::string_view::npos; };
  if (has("BFloat16") && !has("Half")) return Precision::kBf16;
  if (has("Half") && !has("BFloat16")) return Precision::kFp16;
  return {};
}

void PrecisionTally::kernel(std::string_view name, Duration time) {
  constexpr std::size_t kRemembered = 4096;
  if (name != last_) {
    last_ = name;
    if (known_.size() >= kRemembered) known_.clear();
    const auto found = known_.find(last_);
    last_precision_ = found != known_.end()
                          ? found->second
                          : known_.emplace(last_, kernel_precision(name)).first->second;
  }
  if (last_precision_) {
    kernels_.at(static_cast<std::size_t>(*last_precision_)) += static_cast<double>(time.count());
  }
}

void PrecisionTally::operation(std::string_view types) {
  const auto found = input_precision(types);
  if (found) ++operations_.at(static_cast<std::size_t>(*found));
}

bool PrecisionTally::by_kernels() const {
  return std::accumulate(kernels_.begin(), kernels_.end(), 0.0) > 0;
}

const PrecisionTally::Shares& PrecisionTally::shares() const {
  return by_kernels() ? kernels_ : operations_;
}

std::optional<Precision> PrecisionTally::found() const {
  const Shares& all = shares();
  const double sum = std::accumulate(all.begin(), all.end(), 0.0);
  for (std::size_t p = 0; p < kKinds; ++p) {
    if (sum > 0 && all.at(p) >= kMostAgree * sum) return static_cast<Precision>(p);
  }
  return {};
}

std::string PrecisionTally::note() const {
  const Shares& all = shares();
  const double sum = std::accumulate(all.begin(), all.end(), 0.0);
  if (sum <= 0) return "";
  std::string text;
  for (std::size_t p = 0; p < kKinds; ++p) {
    if (all.at(p) <= 0) continue;
    text += fmt::format("{}{} {:.0f} %", text.empty() ? "" : ", ",
                        to_string(static_cast<Precision>(p)), 100 * all.at(p) / sum);
  }
  return fmt::format("precision: {} of {}{}", text,
                     by_kernels() ? "the time of matrix products, by names of kernels"
                                  : "matrix products, by types of inputs",
                     found() ? "" : "; mixed, so taken as not known");
}

}  // namespace shardlab
